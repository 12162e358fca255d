"""The beat network around its own front end: the mel, the chunks, the peaks, the checkpoint."""

import builtins
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from acestep.data.audio import RATE
from acestep.errors import AudioError, ModelError
from acestep.labellers.beat_this import (
    BeatTracker,
    chunked,
    mel_spectrogram,
    pick_peaks,
    track_beats,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "beat_mel.npy"
SMALL = {
    "spect_dim": 128,
    "transformer_dim": 32,
    "ff_mult": 1,
    "n_layers": 1,
    "head_dim": 16,
    "stem_dim": 16,
    "dropout": {"frontend": 0.1, "transformer": 0.2},
    "sum_head": True,
    "partial_transformers": True,
}


@pytest.fixture(scope="module")
def network():
    tracker = pytest.importorskip("beat_this.model.beat_tracker")
    torch.manual_seed(0)
    return tracker.BeatThis(**SMALL).eval()


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    """A file laid out as the published ones: Lightning's, the network under ``model.``."""
    path = tmp_path_factory.mktemp("beats") / "small.ckpt"
    torch.save(lightning(network.state_dict()), path)
    return path


def lightning(state, **knobs):
    return {
        "epoch": 99,
        "pytorch-lightning_version": "2.0.0",
        "state_dict": {"model." + key: value for key, value in state.items()},
        "hyper_parameters": {**SMALL, "lr": 0.0008, "fps": 50, **knobs},
    }


@pytest.fixture
def upstream(monkeypatch):
    """The authors' own inference code; it imports torchaudio, whose place an empty module takes."""
    pytest.importorskip("beat_this")
    monkeypatch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
    monkeypatch.delitem(sys.modules, "beat_this.inference", raising=False)
    from beat_this import inference

    return inference


def clicks(seconds=4.0, bpm=120):
    audio = np.zeros((2, round(seconds * RATE)), np.float32)
    audio[:, :: round(60 / bpm * RATE)] = 0.9
    return audio


def test_the_mel_is_librosas():
    # melspectrogram(y=y, sr=22050, n_fft=1024, hop_length=441, window="hann", center=True,
    # pad_mode="reflect", power=1.0, n_mels=128, fmin=30, fmax=11000, htk=False, norm=None) of
    # librosa 0.11.0, then log1p(1000 * mel / 32).T: √1024 is what "frame_length" divides by.
    n = np.arange(22_050)
    t = n / 22_050
    sweep = 0.5 * np.sin(2 * np.pi * (55 * t + 1500 * t * t)) + 0.2 * np.sin(2 * np.pi * 7000 * t)
    mel = mel_spectrogram((sweep + 0.3 * (n % 5512 == 0)).astype(np.float32))
    golden = np.load(GOLDEN)
    assert mel.dtype == np.float32 and golden.max() > 8
    np.testing.assert_allclose(mel, golden, atol=2e-4)


def test_long_sounds_have_the_mel_of_their_parts():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(441 * 3100).astype(np.float32)
    whole, part = mel_spectrogram(noise), mel_spectrogram(noise[441 * 1400 : 441 * 1700])
    assert whole.shape == (3101, 128)
    np.testing.assert_allclose(whole[1402:1698], part[2:298], atol=1e-4)


@pytest.mark.parametrize("frames", [1, 40, 1487, 1488, 1489, 1500, 2976, 2977, 4000])
def test_chunks_are_put_together_as_the_authors_do(upstream, frames):
    def position(chunk):
        """A network that knows where it is, and that is wrong near the edges of what it sees."""
        edge = np.arange(len(chunk))
        wrong = np.where((edge < 6) | (edge >= len(chunk) - 6), 1e6, 0)
        return chunk[:, 0] + wrong, chunk[:, 1] + wrong + edge / 1e4

    class Module:
        def __call__(self, batch):
            beat, downbeat = position(batch[0].numpy())
            return {
                "beat": torch.from_numpy(beat)[None],
                "downbeat": torch.from_numpy(downbeat)[None],
            }

    mel = np.random.default_rng(1).standard_normal((frames, 128)).astype(np.float32)
    wanted = upstream.split_predict_aggregate(
        torch.from_numpy(mel), 1500, 6, "keep_first", Module()
    )
    beats, downbeats = chunked(position, mel)
    np.testing.assert_array_equal(beats, wanted["beat"].numpy())
    np.testing.assert_array_equal(downbeats, wanted["downbeat"].numpy())
    np.testing.assert_array_equal(beats, mel[:, 0])


def test_peaks_are_the_highest_within_sixty_milliseconds():
    beats, downbeats = np.full(200, -5.0), np.full(200, -5.0)
    beats[[10, 60, 62, 110, 160]] = [2.0, 1.0, 3.0, 4.0, 4.0]  # 60 stands in 62's shadow
    beats[111] = 4.0  # a flat top
    beats[190] = -0.1
    downbeats[[12, 161]] = 1.0
    times, strong = pick_peaks(beats, downbeats)
    np.testing.assert_allclose(times, [0.2, 1.24, 2.21, 3.2])
    np.testing.assert_allclose(strong, [0.2, 3.2])


def test_peaks_are_those_of_the_authors():
    postprocessor = pytest.importorskip("beat_this.model.postprocessor").Postprocessor("minimal")
    rng = np.random.default_rng(2)
    for _ in range(20):
        logits = np.round(rng.standard_normal((2, 400)) * 2).astype(np.float32)  # many ties
        for ours, theirs in zip(
            pick_peaks(*logits), postprocessor(*torch.from_numpy(logits)), strict=True
        ):
            np.testing.assert_allclose(ours, theirs)


def test_nothing_is_found_in_nothing():
    nothing = np.full(100, -3.0)
    assert [len(times) for times in pick_peaks(nothing, nothing)] == [0, 0]
    assert [len(times) for times in pick_peaks(np.zeros(0), np.zeros(0))] == [0, 0]
    assert pick_peaks(nothing, np.where(np.arange(100) == 50, 1.0, -3.0))[1].tolist() == [1.0]


def test_a_checkpoint_is_read_and_its_network_listens(network, checkpoint, upstream, monkeypatch):
    audio = clicks(35.0)  # longer than a chunk
    monkeypatch.setattr(upstream, "LogMelSpect", lambda device: None)
    theirs = upstream.Audio2Beats(str(checkpoint), "cpu")
    from acestep.data.audio import resampled

    mel = mel_spectrogram(resampled(audio.mean(axis=0, keepdims=True), RATE, 22_050)[0])
    wanted = theirs.frames2beats(*theirs.spect2frames(torch.from_numpy(mel)))
    beats, downbeats = track_beats(audio, RATE, checkpoint)
    np.testing.assert_allclose(beats, wanted[0])
    np.testing.assert_allclose(downbeats, wanted[1])
    assert np.isin(downbeats, beats).all()


def test_a_compiled_networks_checkpoint_is_read_too(network, checkpoint, tmp_path):
    state = {"_orig_mod." + key: value for key, value in network.state_dict().items()}
    torch.save(lightning(state), tmp_path / "compiled.ckpt")
    compiled, plain = BeatTracker(tmp_path / "compiled.ckpt"), BeatTracker(checkpoint)
    mel = np.random.default_rng(0).random((200, 128), np.float32)
    np.testing.assert_array_equal(compiled._network(mel), plain._network(mel))


def test_beats_follow_the_clicks_when_the_network_hears_loudness(checkpoint, monkeypatch):
    """The whole way from 48 kHz stereo to seconds, with a network that answers loudness."""
    tracker = BeatTracker(checkpoint)
    loud = lambda mel: (mel.mean(axis=1) - 1, np.full(len(mel), -1.0))  # noqa: E731
    monkeypatch.setattr(tracker, "_network", loud)
    beats, downbeats = tracker(clicks(4.0, 120), RATE)
    np.testing.assert_allclose(beats, np.arange(8) * 0.5, atol=0.011)
    assert len(downbeats) == 0


@pytest.mark.parametrize("audio", [np.zeros((2, 1)), np.zeros(RATE), np.zeros((2, RATE))])
def test_short_silent_and_mono_sounds_are_heard(checkpoint, audio):
    for times in track_beats(audio.astype(np.float32), RATE, checkpoint):
        assert np.isfinite(times).all() and (times <= audio.shape[-1] / RATE).all()


@pytest.mark.parametrize("audio", [np.zeros((2, 0)), np.full((2, RATE), np.nan), np.zeros((9, 9))])
def test_what_is_no_audio_is_refused(checkpoint, audio):
    with pytest.raises(AudioError):
        track_beats(audio.astype(np.float32), RATE, checkpoint)


class Pickled:
    """A pickle that leaves a trace if it is ever executed."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    trace = tmp_path / "executed"
    torch.save({"state_dict": Pickled(trace), "hyper_parameters": {}}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Pickled(trace)))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(ModelError, match=f"{name}.*nothing in it was executed") as caught:
            BeatTracker(tmp_path / name)
        assert "78 MB" in caught.value.hint
    assert not trace.exists()


def test_a_missing_checkpoint_says_what_to_download(tmp_path):
    for path in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(ModelError, match=str(path)) as caught:
            track_beats(clicks(1.0), RATE, path)
        for word in ("final0.ckpt", "78 MB", "--beats-checkpoint"):
            assert word in caught.value.hint


def test_a_missing_package_says_what_to_install(checkpoint, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("beat_this"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match="package beat_this") as caught:
        BeatTracker(checkpoint)
    assert "pip install --no-deps beat_this" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no checkpoint",
        {"weights": torch.zeros(3)},
        [1, 2],
        {"state_dict": {}, "hyper_parameters": SMALL},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {}},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {"n_layers": 10**9}},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {"head_dim": 0}},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {"stem_dim": "wide"}},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {"dropout": 3}},
        {"state_dict": {"model.x": torch.zeros(3)}, "hyper_parameters": {"transformer_dim": 33}},
    ],
)
def test_other_files_are_refused(tmp_path, content):
    pytest.importorskip("beat_this")
    path = tmp_path / "other.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match="other.ckpt"):
        BeatTracker(path)


def test_damaged_weights_are_said(network, tmp_path):
    state = {key: value.clone() for key, value in network.state_dict().items()}
    state["task_heads.beat_downbeat_lin.bias"][:] = float("nan")
    torch.save(lightning(state), tmp_path / "nan.ckpt")
    with pytest.raises(ModelError, match="nan.ckpt predicts NaN"):
        track_beats(clicks(1.0), RATE, tmp_path / "nan.ckpt")
