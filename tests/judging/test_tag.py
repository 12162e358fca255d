"""What the tag does, on cells that were made: a switch, a leak, half of each, nothing."""

import json

import numpy as np
import pytest

from acestep.judging.tag import Cells, judge_tag


def cells(on_tag, on_plain, off_tag=0.0, off_plain=0.0, clips=16, seed=0):
    """Cells with these means; clips differ by prompt (shared) and by chance."""
    rng = np.random.default_rng(seed)
    prompts = rng.normal(0, 0.3, clips)
    means = (on_tag, on_plain, off_tag, off_plain)
    return Cells(*(mean + prompts + rng.normal(0, 0.1, clips) for mean in means))


@pytest.mark.parametrize(
    ("on_tag", "on_plain", "word"),
    [
        (0.9, 0.05, "switches"),
        (0.9, 0.5, "partly"),
        (0.9, 0.9, "leaks"),
        (0.0, 0.0, "nothing to switch"),
    ],
)
def test_the_word(on_tag, on_plain, word):
    tag = judge_tag(cells(on_tag, on_plain), "zz")
    assert tag.word == word
    assert tag.sentence and tag.advice
    assert tag.switch.low < on_tag - on_plain < tag.switch.high
    assert tag.leak.low < on_plain < tag.leak.high


def test_switch_and_leak_add_up_to_the_gain():
    tag = judge_tag(cells(0.8, 0.3), "zz")
    assert tag.switch.value + tag.leak.value == pytest.approx(tag.gain.value)
    assert tag.share is not None
    assert tag.share.value == pytest.approx(tag.leak.value / tag.gain.value)


def test_a_tag_that_the_base_knows_is_said():
    tag = judge_tag(cells(0.9, 0.1, off_tag=0.5), "jazz")
    assert "base itself follows the tag" in tag.sentence
    assert tag.alone.low > 0.4


def test_pairs_narrow_the_interval():
    """Prompts differ far more than the cells do; only clip-by-clip differences can tell."""
    tag = judge_tag(cells(0.15, 0.0), "zz")
    assert tag.switch.low > 0
    shuffled = cells(0.15, 0.0)
    mixed = Cells(shuffled.on_tag, shuffled.on_plain[::-1], shuffled.off_tag, shuffled.off_plain)
    width = tag.switch.high - tag.switch.low
    other = judge_tag(mixed, "zz").switch
    assert other.high - other.low > 2 * width


def test_intervals_hold_what_they_promise():
    inside = [
        (tag := judge_tag(cells(0.5, 0.2, seed=seed), "zz").switch).low < 0.3 < tag.high
        for seed in range(60)
    ]
    assert np.mean(inside) > 0.75  # 0.9 nominal; a bootstrap of 16 is a little narrow


def test_few_clips_and_clips_that_are_none_have_no_verdict():
    assert judge_tag(cells(0.9, 0.0, clips=4), "zz").word == "cannot be told"
    silent = cells(0.9, 0.0)
    silent.on_tag[:12] = np.nan
    tag = judge_tag(silent, "zz")
    assert (tag.word, tag.clips) == ("cannot be told", 4)
    silent.on_tag[:] = np.nan
    values = judge_tag(silent, "<script>").as_dict()
    assert values["word"] == "cannot be told"
    json.dumps(values, allow_nan=False)
