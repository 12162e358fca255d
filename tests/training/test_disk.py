"""What a run is predicted to write, against what one writes."""

from pathlib import Path

import pytest
from training_data import tiny_tensors

from acestep.config import TrainConfig
from acestep.data.files import size_text as size
from acestep.train import train
from acestep.training.disk import count_previews, predict_disk


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("optimizer", ["adamw", "prodigy"])
def test_a_runs_checkpoints_and_log_take_what_was_predicted(optimizer, tmp_path):
    config = TrainConfig(
        tensors=tiny_tensors(tmp_path / "tensors"), output=tmp_path / "run", epochs=5,
        save_every=2, rank=64, optimizer=optimizer, validation=0, device="cpu",
    )  # fmt: skip
    finished = list(train(config))[-1]
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    adapter = finished.facts["adapter"]
    weights = (Path(adapter) / "adapter_model.safetensors").stat().st_size // 4
    disk = predict_disk(config, weights, finished.facts["steps"], here=True)
    assert disk.checkpoints == len(kept) == 3
    assert disk.each == pytest.approx(bytes_in(kept[0]), rel=0.1)
    written = bytes_in(tmp_path / "run") - sum(map(bytes_in, kept))
    assert disk.log < written  # which also holds the settings and a picture
    assert disk.free and disk.fits and f"{size(disk.free)} are free" in disk.sentence


def test_previews_count_and_a_full_disk_is_seen():
    plain = TrainConfig(tensors="t", epochs=100, save_every=50)
    heard = TrainConfig(tensors="t", epochs=100, save_every=50, preview=["a", "b"])
    assert count_previews(plain) == 0 and count_previews(heard) == 6
    disk = predict_disk(heard, 44_000_000, 800, here=False)
    # Two of 528 MB: the 2B model's adapter at rank 64 with both moments
    assert disk.total == pytest.approx(2 * 528e6 + 6 * 3.45e6, rel=0.01)
    assert disk.free is None and disk.fits and "free" not in disk.sentence
    huge = predict_disk(heard, 10**16, 800, here=True)
    assert not huge.fits


def test_bytes_for_people():
    spoken = [size(count) for count in (0, 999, 1000, 999_999, 176e6, 2.14e9, 3e12)]
    assert spoken == ["0 B", "999 B", "1 kB", "1 MB", "176 MB", "2.14 GB", "3 TB"]
