"""What is known before a run, from tensors and from a dataset."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_data import TINY, tiny_tensors

from acestep.data.tensors import Manifest, read_manifest, save_record, write_manifest
from acestep.errors import ConfigError, DatasetError, ModelError, TensorError
from acestep.training.situation import look_at_dataset, look_at_tensors


def test_tensors_are_counted_and_measured(tmp_path):
    folder = tiny_tensors(tmp_path / "tensors", lengths=(250, 500, 250))
    seen = look_at_tensors(folder)
    assert (seen.songs, seen.variants, seen.clips) == (3, 0, 3)
    assert (seen.seconds, seen.longest) == (40, 20) and seen.clip_seconds == pytest.approx(40 / 3)
    assert seen.spread is not None and seen.machine.here
    assert seen.base.name == TINY.name and seen.scale == seen.base.shape.width / 2048
    assert look_at_tensors(folder, gpu="12GB").machine.gib == 12
    assert look_at_tensors(folder, "acestep-v15-xl-sft").base.shape.width == 2560


def test_segments_are_one_song_and_variants_count_as_songs_of_their_own(tmp_path):
    folder = tiny_tensors(tmp_path / "tensors", lengths=(100, 200, 300))
    manifest = read_manifest(folder)
    first, second, third = manifest.samples
    record = torch.load(folder / second["file"], weights_only=True)
    record["metadata"]["song"] = "song0"  # the second segment of the first song
    save_record(folder / second["file"], record)
    third["variant"] = {"of": "song0", "speed": 1.0}
    write_manifest(folder, replace(manifest, samples=[first, second, third]))
    seen = look_at_tensors(folder)
    assert (seen.songs, seen.variants, seen.pieces, seen.clips) == (1, 1, 2, 3)
    assert seen.seconds == 12  # the variant is no more music


def test_what_cannot_be_read_says_so(tmp_path):
    with pytest.raises(TensorError, match="not a folder"):
        look_at_tensors(tmp_path / "none")
    folder = tiny_tensors(tmp_path / "tensors")
    with pytest.raises(ConfigError, match="--gpu apple"):
        look_at_tensors(folder, gpu="apple")
    with pytest.raises(ModelError):
        look_at_tensors(folder, "no-such-model")
    write_manifest(folder, replace(read_manifest(folder), samples=[]))
    with pytest.raises(TensorError, match="names no samples"):
        look_at_tensors(folder)
    write_manifest(
        folder, Manifest(model={"name": "x", "source": "x", "variant": "", "fingerprint": ""})
    )
    with pytest.raises(TensorError):
        look_at_tensors(folder)


def dataset(path: Path, *songs: dict) -> Path:
    path.write_text(json.dumps({"dataset_name": "d", "samples": list(songs)}))
    return path


def test_a_dataset_is_known_by_its_lengths(tmp_path):
    songs = [{"audio_path": f"{n}.wav", "caption": "x", "duration": 60.0 * n} for n in (1, 2, 0)]
    seen = look_at_dataset(dataset(tmp_path / "d.json", *songs), "acestep-v15-turbo", "24GB")
    assert (seen.songs, seen.clips, seen.seconds, seen.longest) == (3, 3, 180, 120)
    assert seen.spread is None and seen.base.shape.width == 2048 and seen.scale == 1
    long = look_at_dataset(dataset(tmp_path / "l.json", {**songs[0], "duration": 3000.0}))
    assert long.longest == long.seconds == 240  # what preprocess takes of a song
    with pytest.raises(DatasetError, match="length is known"):
        look_at_dataset(dataset(tmp_path / "e.json", songs[2]))
    with pytest.raises(DatasetError):
        look_at_dataset(tmp_path / "none.json")
