"""Schedules as pure functions; optimizers that step."""

import copy
import math

import pytest
import torch

from acestep.config import TrainConfig
from acestep.errors import ConfigError
from acestep.training.optim import learning_rate, make_optimizer


def config(**knobs):
    return TrainConfig(tensors="tensors", **knobs)


def rates(total, **knobs):
    settings = config(learning_rate=1.0, **knobs)
    return [learning_rate(settings, step, total) for step in range(total)]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_warm_up_rises_to_the_full_rate(schedule):
    values = rates(1000, schedule=schedule)
    assert values[:100] == sorted(values[:100]) and values[0] == pytest.approx(1 / 101)
    assert values[100] == 1.0 and max(values) == 1.0


def test_constant_stays_and_the_others_fall_to_a_hundredth():
    assert set(rates(1000, schedule="constant")[100:]) == {1.0}
    for schedule in ("cosine", "linear"):
        values = rates(1000, schedule=schedule)[100:]
        assert values == sorted(values, reverse=True)
        assert values[-1] == pytest.approx(0.01, abs=0.002)


def test_cosine_halfway():
    values = rates(1000, schedule="cosine", warmup_steps=0)
    assert values[500] == pytest.approx(0.01 + 0.99 * (1 + math.cos(math.pi / 2)) / 2)


def test_short_runs_get_short_warm_ups():
    assert rates(1, schedule="cosine") == [1.0]
    assert rates(20, schedule="constant")[2:] == [1.0] * 18
    assert rates(5, schedule="constant", warmup_steps=50)[-1] < 0.1


def test_no_restart_when_a_run_is_made_longer():
    settings = config(schedule="cosine")
    assert learning_rate(settings, 999, 2000) < learning_rate(settings, 500, 2000)


@pytest.mark.parametrize("name", ["adamw", "prodigy"])
def test_optimizers_reduce_a_parabola_and_round_trip_their_state(name):
    def start():
        weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
        knobs = {"learning_rate": 0.1} if name == "adamw" else {}
        return weight, make_optimizer(config(optimizer=name, **knobs), [weight])

    weight, optimizer = start()

    def steps(weight, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()

    steps(weight, optimizer, 20)
    twin, twin_optimizer = start()
    with torch.no_grad():
        twin.copy_(weight)
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(weight, optimizer, 40)
    steps(twin, twin_optimizer, 40)
    assert torch.equal(weight, twin)
    assert weight.square().sum() < 13


def test_prodigys_rate_is_one_unless_given():
    assert config(optimizer="prodigy").learning_rate == 1.0
    assert config(optimizer="prodigy", learning_rate=0.5).learning_rate == 0.5
    assert config().learning_rate == 1e-4


def test_a_missing_library_is_said_with_the_way_out(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ConfigError, match="bitsandbytes") as caught:
        make_optimizer(config(optimizer="adamw8bit"), [torch.nn.Parameter(torch.zeros(1))])
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize("name", ["adamw", "prodigy"])
def test_weight_decay_is_the_configs_and_nothing_is_printed(name, capsys):
    settings = config(optimizer=name, weight_decay=0.25)
    optimizer = make_optimizer(settings, [torch.nn.Parameter(torch.zeros(1))])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25]
    assert capsys.readouterr().out == ""  # it would stand between lines of JSON


def test_adamw_is_one_kernel_and_is_adamw():
    """All parameters at once, no number read back, against the plain loop over them."""
    parameters = [torch.nn.Parameter(torch.linspace(-1, 1, n)) for n in (5, 70, 300)]
    twins = [torch.nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    ours = make_optimizer(config(learning_rate=1e-2), parameters)
    theirs = torch.optim.AdamW(twins, lr=1e-2, weight_decay=0.01, foreach=False, fused=False)
    assert ours.param_groups[0]["fused"]
    for step in range(5):
        for group in (parameters, twins):
            for parameter in group:
                parameter.grad = torch.cos(parameter.detach() * (step + 3))
        ours.step()
        theirs.step()
    for parameter, twin in zip(parameters, twins, strict=True):
        torch.testing.assert_close(parameter, twin, rtol=1e-6, atol=1e-7)
