"""The rule that picks a checkpoint, on scores that were made."""

import json
from dataclasses import replace

import numpy as np

from acestep.judging.choice import Candidate, choose


def candidates(*means, spread=0.02, out=(), copies=(), seed=0, draws=200):
    rng = np.random.default_rng(seed)
    made = []
    for number, mean in enumerate(means):
        scores = mean + np.concatenate([[0], rng.normal(0, spread, draws)])
        made.append(
            Candidate(
                f"epoch_{10 * (number + 1)}",
                number,
                scores,
                copied=copies.get(number, 0.0) if copies else 0.0,
                out="it is silent" if number in out else "",
            )
        )
    return made


def test_the_nearest_is_picked_when_it_is_clearly_nearer():
    choice = choose(candidates(0.9, 0.6, 0.2, 0.5))
    assert choice.picked.checkpoint == "epoch_30"
    assert choice.confidence > 0.99


def test_of_those_that_tie_the_earlier_one():
    choice = choose(candidates(0.9, 0.22, 0.21, 0.20))
    assert choice.picked.checkpoint == "epoch_20"
    assert choice.confidence < 0.95
    assert sum(choice.shares) == 1
    assert [c.checkpoint for c in choice.tied] == ["epoch_20", "epoch_30", "epoch_40"]


def test_one_that_mostly_copies_is_not_recommended_however_near():
    choice = choose(candidates(0.9, 0.5, 0.01, copies={1: 0.1, 2: 0.55}))
    assert choice.picked.checkpoint == "epoch_20"
    assert choice.shares[2] == 0
    assert choice.outs[2] == "55 % of its clips clearly copy a song"


def test_copies_weigh_by_their_share():
    few, many = (candidates(0.9, 0.5, 0.3, copies={2: share}) for share in (0.06, 0.5))
    assert choose(few).picked.checkpoint == "epoch_30"
    assert choose(many).picked.checkpoint == "epoch_20"
    assert "6 % of its clips clearly copy a song" in choose(few).reasons()[0]


def test_if_all_copy_those_that_copy_least_lead():
    choice = choose(candidates(0.5, 0.4, 0.45, copies={0: 0.6, 1: 0.9, 2: 0.6}))
    assert choice.picked.checkpoint == "epoch_30" and not any(choice.outs)


def test_a_broken_one_is_out_and_no_measure_for_copies():
    choice = choose(candidates(0.9, 0.5, 0.1, out=(0,), copies={1: 0.6, 2: 0.7}))
    assert choice.picked.checkpoint == "epoch_30"
    assert "epoch_10 is out: it is silent." in choice.reasons()


def test_all_out_and_none_at_all():
    assert choose(candidates(0.9, 0.5, out=(0, 1))).picked is None
    assert choose([]).picked is None and choose([]).confidence == 0


def test_of_two_strengths_the_one_nearer_to_one():
    strengths = [
        Candidate("epoch_10", 5, np.array([0.2, 0.2, 0.21]), strength=s) for s in (0.6, 0.8, 1.0)
    ]
    assert choose(strengths).picked.strength == 1.0


def test_a_score_that_is_no_number_is_not_in_the_race():
    broken, fine = candidates(0.1, 0.5)
    broken.left[0] = np.nan
    assert choose([broken, fine]).picked is fine


def test_the_record_is_plain_json():
    choice = choose(candidates(0.9, 0.22, np.nan, out=(0,)))
    values = json.loads(json.dumps(choice.as_dict(), allow_nan=False))
    assert values["checkpoint"] == "epoch_20"
    assert [c["out"] for c in values["candidates"]] == [
        "it is silent", None, "its style cannot be told",
    ]  # fmt: skip
    assert values["candidates"][1]["low"] < 0.22 < values["candidates"][1]["high"]
    json.dumps(choose([]).as_dict(), allow_nan=False)


def test_held_out_loss_tells_two_of_one_style_apart():
    """The last has learnt its songs by heart: nearer to them, and worse on what was held out."""
    missing = np.array([[0.4], [0.0], [0.5]]) + np.zeros(201)
    alike = [
        replace(one, missing=row)
        for one, row in zip(candidates(0.7, 0.45, 0.35), missing, strict=True)
    ]
    assert choose(alike).picked.checkpoint == "epoch_20"
    assert choose([replace(one, missing=None) for one in alike]).picked.checkpoint == "epoch_30"
    (first, *_) = choose(alike).as_dict()["candidates"]
    assert (first["style_left"], first["gain_missing"]) == (0.7, 0.4)
    assert first["score"] == 1.1


def test_candidates_are_told_apart_by_who_they_are():
    """Two strengths of one checkpoint with the same numbers are two candidates."""
    scores = np.array([0.2, 0.2, 0.2])
    twins = [Candidate("epoch_1", 0, scores, strength=s) for s in (0.5, 1.0)]
    choice = choose(twins)
    assert choice.picked is twins[1] and choice.confidence == 1
