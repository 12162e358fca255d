"""Repainting: what the pipeline makes, and nothing outside the window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sound_files import tone

from acestep import AceStepPipeline
from acestep.data.labels import PromptLabels
from acestep.model.base import find_model
from acestep.model.parts import Parts
from acestep.model.repaint import repaint, section_window
from acestep.model.scene import TaskWindow

TINY = str(Path(__file__).parents[1] / "golden/upstream_tiny/acestep-v15-turbo")
RATE = 48_000


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_a_repaint_is_the_pipelines_bit_for_bit(variant):
    model = replace(find_model(TINY), variant=variant)
    audio, window = tone(2.01), TaskWindow(0.52, 1.4)
    labels = PromptLabels("piano, softer", bpm=90, keyscale="A minor", seconds=2.01)
    made = repaint(Parts(model, torch.device("cpu"), torch.float32), audio, labels, window, 7)
    pipeline = AceStepPipeline(TINY, device="cpu")
    pipeline._parts.model = model
    wanted = pipeline.generate(
        "piano, softer",
        bpm=90,
        keyscale="A minor",
        seed=7,
        task_type="repaint",
        src_audio=(audio, RATE),
        repainting_start=window.start,
        repainting_end=window.end,
    )
    np.testing.assert_array_equal(made, wanted.audio)
    inside = slice(round(0.52 * RATE), round(1.4 * RATE))
    assert np.abs(made[:, inside] - audio[:, inside]).max() > 0.01
    outside = np.ones(audio.shape[1], bool)
    outside[inside] = False
    np.testing.assert_array_equal(made[:, outside], audio[:, outside])


def test_sections_are_whole_frames_in_the_middle():
    for seconds in (0.04, 0.1, 1.0, 7.31, 240.0):
        for place in (0.25, 0.5, 0.75):
            start, end = section_window(seconds, place, 0.3)
            frames = [int(bound * RATE) for bound in (start, end)]
            assert [frame % 1920 for frame in frames] == [0, 0]
            assert 0 <= frames[0] < frames[1] <= max(1920, seconds * RATE)
