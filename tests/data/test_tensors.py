"""Tensor files: exact round trip, nothing executed, nothing half-made accepted."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from acestep.data.tensors import (
    Manifest,
    load_record,
    load_samples,
    read_manifest,
    save_record,
    save_torch,
    tensor_folder,
    write_manifest,
)
from acestep.errors import TensorError

MODEL = {"name": "m", "source": "m", "variant": "turbo", "fingerprint": "f"}


def record(frames=6, **changes):
    return {
        "target_latents": torch.randn(frames, 8),
        "encoder_hidden_states": torch.randn(5, 16),
        "context_latents": torch.randn(frames, 16),
        "metadata": {"song": "abc", "caption": "Ünïcode", "bpm": 90, "keyscale": None},
        "fingerprints": {"audio": "a", "text": "t"},
    } | changes


def folder_with(path, *records):
    entries = []
    for number, item in enumerate(records):
        name = f"sample_{number}.pt"
        save_record(path / name, item)
        entries.append({"file": name, "fingerprints": {"audio": "a", "text": "t"}})
    write_manifest(path, Manifest(model=MODEL, samples=entries, fingerprint="f"))
    return path


def test_round_trip_is_exact_and_safe_to_read(tmp_path):
    original = record()
    save_record(tmp_path / "sample_0.pt", original)
    plain = torch.load(tmp_path / "sample_0.pt", weights_only=True)
    assert torch.equal(plain["target_latents"], original["target_latents"])
    assert plain["metadata"] == original["metadata"]
    assert torch.equal(
        load_record(tmp_path / "sample_0.pt", mapped=True)["target_latents"],
        original["target_latents"],
    )


def test_samples_come_in_the_manifests_order(tmp_path):
    folder = folder_with(tmp_path, record(6), record(9))
    samples = load_samples(folder, read_manifest(folder))
    assert [sample.latents.shape[0] for sample in samples] == [6, 9]
    assert samples[0].song == "abc" and samples[0].context.shape == (6, 16)


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize(
    "content", [pickle.dumps(Bomb()), b"", b"not a tensor", b"PK\x03\x04garbage"]
)
def test_hostile_files_are_refused_and_not_executed(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sample_0.pt"
    path.write_bytes(content)
    with pytest.raises(TensorError, match="sample_0.pt") as caught:
        load_record(path)
    assert "weights_only" not in str(caught.value)  # as torch advises
    assert not (tmp_path / "exploded").exists() and path.read_bytes() == content


def test_a_pickle_inside_a_torch_file_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"target_latents": torch.zeros(1, 1), "x": Bomb()}, tmp_path / "s.pt")
    with pytest.raises(TensorError):
        load_record(tmp_path / "s.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder_hidden_states": None}, "encoder_hidden_states"),
        ({"context_latents": torch.zeros(5, 16)}, "do not belong together"),
        ({"target_latents": torch.full((6, 8), float("nan"))}, "NaN"),
        ({"fingerprints": {"audio": "other"}}, "changed since"),
        ({"format": 2}, "format 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(tmp_path, changes, words):
    folder = folder_with(tmp_path, record())
    torch.save({"format": 1, **record(), **changes}, folder / "sample_0.pt")
    with pytest.raises(TensorError, match=words) as caught:
        load_samples(folder, read_manifest(folder))
    assert "sample_0.pt" in str(caught.value) and caught.value.hint


def test_unfinished_and_missing_folders(tmp_path):
    with pytest.raises(TensorError, match="not a folder"):
        read_manifest(tmp_path / "none")
    save_record(tmp_path / "sample_0.pt", record())
    with pytest.raises(TensorError, match="has not finished"):
        read_manifest(tmp_path)


def test_manifests_of_the_original_program_are_recognised(tmp_path):
    torch.save(record(), tmp_path / "1a2b3c4d.pt")
    assert read_manifest(tmp_path).foreign  # no manifest at all
    manifest = {"metadata": {"name": "x"}, "samples": ["./out/1a2b3c4d.pt"], "num_samples": 1}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = read_manifest(tmp_path)
    assert found.foreign and found.samples == [{"file": "1a2b3c4d.pt"}]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 7}',
        '{"samples": [1]}',
        '{"format": 1}',
        '{"format": 1, "model": {}, "dataset": {}, "samples": [], "fingerprint": ""}',
        '{"format": 1, "model": [], "dataset": {}, "samples": [], "fingerprint": ""}',
        json.dumps(
            {"format": 1, "model": MODEL, "dataset": {}, "samples": ["a"], "fingerprint": ""}
        ),
        json.dumps(
            {"format": 1, "model": MODEL, "dataset": {}, "samples": [{}], "fingerprint": ""}
        ),
        "\xff",
    ],
)
def test_malformed_manifests(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(TensorError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path):
    inner = tmp_path / "tensors"
    inner.mkdir()
    save_record(tmp_path / "sample_0.pt", record())
    write_manifest(inner, Manifest(model=MODEL, samples=[{"file": "../sample_0.pt"}]))
    with pytest.raises(TensorError, match="outside"):
        load_samples(inner, read_manifest(inner))


def test_a_half_written_file_is_not_the_original_programs(tmp_path):
    """A process killed in its very first write leaves nothing but a temporary file."""
    torch.save(record(), tmp_path / ".tmp-abcdefgh.pt")
    with pytest.raises(TensorError, match="has not finished"):
        read_manifest(tmp_path)


def test_foreign_tensors_are_known_by_what_they_hold(tmp_path):
    torch.save(record(), tmp_path / "a.pt")
    first = read_manifest(tmp_path).fingerprint
    assert first == read_manifest(tmp_path).fingerprint
    torch.save(record(), tmp_path / "a.pt")
    assert read_manifest(tmp_path).fingerprint != first


def test_a_full_disk_is_named(tmp_path):
    """``torch.save`` itself says "unexpected pos 704 vs 598"."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        save_torch(Path("/dev/full"), {"a": torch.zeros(1_000_000)})


def test_a_tensor_folder_is_held_tidied_and_never_somebody_elses(tmp_path):
    folder = tmp_path / "new" / "tensors"
    with tensor_folder(folder):
        (folder / ".tmp-abcdefgh.pt").touch()
        with pytest.raises(TensorError, match="another process"), tensor_folder(folder):
            pass
    with tensor_folder(folder):
        assert not list(folder.iterdir())
    (folder / "manifest.json").write_text('{"samples": [], "metadata": {}}')
    with pytest.raises(TensorError, match="did not write"), tensor_folder(folder):
        pass
    with pytest.raises(TensorError, match="is a file"), tensor_folder(folder / "manifest.json"):
        pass
