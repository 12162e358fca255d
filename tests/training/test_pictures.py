"""The loss picture and the TensorBoard numbers."""

import io

import numpy as np
import pytest
import soundfile
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from acestep.data.audio import write_audio
from acestep.events import Evaluation, Notice, Sample, Step
from acestep.training.pictures import Scalars, draw_losses, running_mean

LOG = [
    Evaluation(0, 0, 1.0, 1.0),
    *(Step(n, n, 1 / n, 1e-4, 0.5) for n in range(1, 30)),
    Notice("n"),
    Evaluation(29, 29, 0.4, 1.0),
]


def test_picture_is_written_even_for_an_empty_log(tmp_path):
    for name, log in (("full.png", LOG), ("empty.png", [])):
        draw_losses(tmp_path / name, log)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.png", "full.png"]


def test_running_mean_starts_at_the_data_and_follows_it():
    assert running_mean([]) == []
    assert running_mean([3.0, 3.0, 3.0]) == pytest.approx([3.0] * 3)
    means = running_mean([1.0] * 100 + [0.0] * 100)
    assert means[99] == pytest.approx(1.0) and means[-1] < 0.05


def test_scalars_can_be_read_back(tmp_path):
    scalars = Scalars(tmp_path, 1)
    scalars.add(LOG)
    scalars.close()
    reader = EventAccumulator(str(tmp_path)).Reload()
    losses = reader.Scalars("train/loss")
    assert [point.step for point in losses] == list(range(1, 30))
    assert losses[3].value == pytest.approx(0.25)
    assert [point.value for point in reader.Scalars("held_out/adapter")] == pytest.approx(
        [1.0, 0.4]
    )


def test_previews_can_be_heard_in_tensorboard(tmp_path):
    file = tmp_path / "samples/epoch_2/1_jazz.flac"
    wave = np.sin(2 * np.pi * 440 * np.arange(4800) / 48000).astype(np.float32)
    write_audio(file, np.stack([wave, np.zeros_like(wave)]), 48000)
    scalars = Scalars(tmp_path / "log", 1)
    scalars.add([Sample(str(file), "x.png", "jazz", 42, 6, 2, 0.1)])
    scalars.close()
    (sound,) = EventAccumulator(str(tmp_path / "log")).Reload().Audio("preview/1_jazz")
    heard, rate = soundfile.read(io.BytesIO(sound.encoded_audio_string))
    assert sound.step == 6 and rate == 48000
    assert heard == pytest.approx(wave / 2, abs=1e-4)
