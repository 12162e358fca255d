"""Packed samples: any reader of safetensors reads them, each lies in one piece, damage is seen."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from acestep.data.packed import (
    INDEX,
    Index,
    find_packed,
    make_piece,
    origin_of,
    read_index,
    read_packed,
    read_shard,
    write_index,
    write_shard,
)
from acestep.data.tensors import load_record
from acestep.errors import TensorError


def record(frames=7, dtype=torch.bfloat16, **changes):
    """A sample with odd sizes, so that nothing falls on a multiple of 64 bytes by itself."""
    return {
        "format": 1,
        "target_latents": torch.randn(frames, 3),
        "encoder_hidden_states": torch.randn(5, 9).to(dtype),
        "context_latents": torch.randn(frames, 6).to(dtype),
        "metadata": {"song": "abc", "caption": 'Ünïcode "🎷" <b>', "bpm": 90, "keyscale": None},
        "fingerprints": {"audio": "a", "text": "t"},
    } | changes


@pytest.fixture
def folder(tmp_path):
    records = {f"sample_{n}.pt": record(7 + n) for n in range(3)}
    pieces = [make_piece(name, item) for name, item in records.items()]
    places = write_shard(tmp_path / "shard_00000.safetensors", pieces, "here")
    write_index(tmp_path, Index("f", places))
    return tmp_path, records


def same(one, other):
    return list(one) == list(other) and all(
        torch.equal(value, other[key]) and value.dtype == other[key].dtype
        if isinstance(value, torch.Tensor)
        else value == other[key]
        for key, value in one.items()
    )


@pytest.mark.parametrize("mapped", [False, True])
def test_samples_come_back_exactly(folder, mapped):
    path, records = folder
    for name, original in records.items():
        place = find_packed(path / name)
        assert place is not None
        assert same(read_packed(path / name, place, mapped=mapped), original)
        assert same(load_record(path / name, mapped=mapped), original)


def test_a_file_beside_the_shards_wins(folder):
    path, _ = folder
    torch.save(record(30), path / "sample_1.pt")
    assert load_record(path / "sample_1.pt")["target_latents"].shape[0] == 30


def test_other_programs_read_a_shard(folder):
    path, records = folder
    tensors = load_file(path / "shard_00000.safetensors")
    for name, original in records.items():
        for key in ("target_latents", "encoder_hidden_states", "context_latents"):
            assert torch.equal(tensors[f"{name}/{key}"], original[key])


def test_the_index_says_which_bytes_are_a_samples(folder):
    path, records = folder
    text = json.loads((path / INDEX).read_text(encoding="utf-8"))
    shard = (path / text["shards"][0]).read_bytes()
    end = 0
    for name in records:
        at = text["samples"][name]
        piece = shard[at["start"] : at["start"] + at["length"]]
        assert at["start"] % 64 == 0 and at["start"] >= end
        assert hashlib.sha256(piece).hexdigest() == at["sha256"]
        end = at["start"] + at["length"]
    assert end == len(shard)
    assert read_shard(path / "shard_00000.safetensors") == dict(read_index(path).places)


def test_damage_is_seen(folder):
    path, _ = folder
    shard = path / "shard_00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[read_index(path).places["sample_1.pt"].start + 5] ^= 1
    shard.write_bytes(content)
    load_record(path / "sample_0.pt")
    with pytest.raises(TensorError, match=r"shard_00000.*damaged: sample_1"):
        load_record(path / "sample_1.pt")
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(TensorError, match="shard_00000"):
        load_record(path / "sample_2.pt")
    shard.unlink()
    with pytest.raises(TensorError, match="shard_00000"):
        load_record(path / "sample_0.pt", mapped=True)
    with pytest.raises(TensorError, match=r"sample_9\.pt is missing"):
        load_record(path / "sample_9.pt")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "\xff", '{"format": 2, "fingerprint": "", "shards": [], "samples": {}}']
    + [
        json.dumps(
            {
                "format": 1,
                "fingerprint": "",
                "shards": ["a.safetensors", "../b.safetensors"][: 1 + bad],
                "samples": {"s.pt": {"shard": at, "start": start, "length": 4, "sha256": ""}},
            }
        )
        for bad, at, start in ((1, 0, 0), (0, 7, 0), (0, 0, -4), (0, 0, "x"))
    ],
)
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / INDEX).write_text(text, encoding="utf-8")
    with pytest.raises(TensorError, match=r"index\.json"):
        load_record(tmp_path / "s.pt")


def test_a_shard_of_another_program(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "shard_00000.safetensors")
    with pytest.raises(TensorError, match="no shard that acestep pack wrote"):
        origin_of(tmp_path / "shard_00000.safetensors")


@pytest.mark.parametrize(
    "change",
    [{"metadata": {"a": {1, 2}}}, {"metadata": {1: "x"}}, {"metadata": {"bpm": float("nan")}}]
    + [{"extra": torch.zeros(2, dtype=torch.complex64)}, {"metadata": (1, 2)}],
)
def test_what_would_not_come_back_is_not_packed(change):
    with pytest.raises(TensorError, match="sample_0.pt holds values that cannot be packed"):
        make_piece("sample_0.pt", record(**change))
