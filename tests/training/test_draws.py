"""Randomness is a function of (seed, step, position)."""

import torch

from acestep.training.draws import (
    TimeLaw,
    draw_sample,
    epoch_order,
    generator_for,
    grouped_order,
    seed_dropout,
    seed_for,
)

TURBO = TimeLaw("turbo", 3.0)


def test_a_draw_depends_on_its_key_alone():
    first = draw_sample(TURBO, (10, 4), 0.5, seed=1, step=7, position=2)
    torch.manual_seed(99)
    torch.randn(5)
    again = draw_sample(TURBO, (10, 4), 0.5, seed=1, step=7, position=2)
    assert torch.equal(first.noise, again.noise) and torch.equal(first.time, again.time)
    assert first.drop_condition == again.drop_condition


def test_draws_differ_by_seed_step_and_position():
    keys = [(1, 7, 2), (2, 7, 2), (1, 8, 2), (1, 7, 3), (1, 2, 7)]
    noises = [draw_sample(TURBO, (10, 4), 0, *key).noise for key in keys]
    assert all(not torch.equal(a, b) for i, a in enumerate(noises) for b in noises[:i])


def test_drawing_leaves_torchs_own_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draw_sample(TURBO, (10, 4), 0.5, 1, 2, 3)
    epoch_order(1, 2, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_of_a_sample_is_fixed_by_its_place():
    seed_dropout(1, 2, 3)
    first = torch.rand(4)
    seed_dropout(1, 2, 3)
    assert torch.equal(first, torch.rand(4))
    seed_dropout(1, 2, 4)
    assert not torch.equal(first, torch.rand(4))


def test_each_epoch_visits_every_sample_once_in_another_order():
    orders = [epoch_order(42, epoch, 20) for epoch in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert epoch_order(42, 1, 20) == orders[1]


def test_conditions_are_dropped_at_the_asked_rate():
    dropped = [draw_sample(TURBO, (1, 1), 0.15, 0, step, 0).drop_condition for step in range(2000)]
    assert 0.12 < sum(dropped) / 2000 < 0.18
    assert not any(
        draw_sample(TURBO, (1, 1), 0.0, 0, step, 0).drop_condition for step in range(200)
    )


def test_seeds_fit_torch_and_streams_are_apart():
    seeds = {
        seed_for(seed, *key) for seed in (0, 42, 2**40) for key in ((0, 1), (1, 0), (1,), (0, 0, 1))
    }
    assert len(seeds) == 12 and all(0 <= seed < 2**63 for seed in seeds)
    assert generator_for(2**40, 1).initial_seed() == seed_for(2**40, 1)


def test_fixed_times_lie_inside_the_law():
    assert TURBO.fixed()[0] == 1.0 and len(TURBO.fixed()) == 8
    continuous = TimeLaw("continuous", 1.0).fixed()
    assert len(continuous) == 8 and all(0 < time < 1 for time in continuous)


def test_steps_of_one_length():
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(400, 6000, (203,), generator=generator).tolist()
    orders = [grouped_order(42, epoch, lengths, 8) for epoch in range(3)]
    assert orders[0] != orders[1] and orders[1] == grouped_order(42, 1, lengths, 8)

    def longest_over_mean(order):
        """What a step of eight processes takes over what it would if all had the same to do."""
        steps = [[lengths[place] for place in order[n : n + 8]] for n in range(0, 200, 8)]
        return sum(max(step) for step in steps) / sum(sum(step) / 8 for step in steps)

    for order in orders:
        assert sorted(order) == list(range(203))
        assert longest_over_mean(order) < 1.1
    assert longest_over_mean(epoch_order(42, 0, 203)) > 1.5
    company = [{frozenset(o[n : n + 8]) for n in range(0, 200, 8)} for o in orders]
    assert len(company[0] & company[1]) <= 2, "the same samples would always meet"
    assert grouped_order(42, 0, [5, 5, 5], 8) == epoch_order(42, 0, 3)
