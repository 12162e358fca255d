"""Marks of adapters, on clips whose distances are known, and one small lesson end to end."""

import numpy as np
import pytest

from acestep.mini.corpus import compose, render
from acestep.mini.teach import Lesson
from acestep.mini.trial import Trial
from acestep.mini.trial_lora import Heard, Taught, compare_marks, lora_marks


def clips(style, first, count=2):
    seeds = range(980_000 + first, 980_000 + first + count)
    return [render(compose(seed, 5.0, style=style)) for seed in seeds]


def test_adapters_that_play_their_folder_pass_and_confused_ones_do_not():
    base = clips("ambient", 0)
    folders = {style: clips(style, 2, 3) for style in ("funk", "jig")}
    made = {style: clips(style, 8) for style in folders}

    def marks(funk, jig):
        playing = {"funk": made[funk], "jig": made[jig]}
        taught = {
            style: Taught(
                folders[style],
                Heard(base, playing[style], base),
                Heard(base, playing[style], playing[style]),
                {name: other for name, other in playing.items() if name != style},
                base[0],
            )
            for style in folders
        }  # fmt: skip
        return {mark.measure: mark for mark in compare_marks(taught)}

    right, confused = marks("funk", "jig"), marks("jig", "funk")
    for style in folders:
        assert right[f"{style}, of base"].passed and right[f"{style}, others' times"].passed
        assert right[f"{style}, without tag"].value > 1.5 and right[f"{style}, without tag"].passed
        assert right[f"{style}, captions, of base"].value == right[f"{style}, of base"].value
        assert right[f"{style}, captions, without tag"].value == 1.0
        assert not confused[f"{style}, others' times"].passed
    assert right["change, strength 0"].passed


def test_an_adapter_that_changes_the_base_at_strength_0_is_seen():
    base, other, folder = clips("ambient", 0, 1), clips("funk", 0, 1), clips("jig", 0, 1)
    heard = Heard(base, other, base)
    one = Taught(folder, heard, heard, {"jig": other}, base[0] + 0.001)
    *_, change = compare_marks({"funk": one})
    assert change.value == pytest.approx(0.001, abs=1e-6) and change.passed is False


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    trial = Trial("mini", clips=1)
    lesson = Lesson(songs=2, seconds=3.0, epochs=1)
    root = tmp_path_factory.mktemp("taught")
    return root, lora_marks(trial, root, ("funk", "jig"), lesson, clips=1)


def test_a_lesson_a_style(taught):
    root, marks = taught
    for style in ("funk", "jig"):
        assert (root / style / "lora" / "adapter_model.safetensors").is_file()
    values = {mark.measure: mark.value for mark in marks}
    assert len(values) == 13 and all(np.isfinite(value) for value in values.values())
    assert values["change, strength 0"] == 0
