import os
import pickle

import pytest
import torch
from adapter_data import (
    copy_adapter,
)
from safetensors import safe_open

from acestep.adapters.files import read_adapter
from acestep.adapters.tensorfiles import read_header, read_tensors, write_safetensors
from acestep.errors import AdapterError

WEIGHTS = "adapter_model.safetensors"

KEY = "base_model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize("size", [0, 7, 8, 100, 5000, -1])
def test_truncated_files(size, tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:size])
    with pytest.raises(AdapterError, match="cannot be read"):
        read_adapter(folder)


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_a_pickle_is_not_executed(write, tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    (folder / WEIGHTS).unlink()
    trap = {KEY: Trap(tmp_path / "executed")}
    with (folder / "adapter_model.bin").open("wb") as file:
        torch.save(trap, file) if write == "torch" else pickle.dump(trap, file)
    with pytest.raises(AdapterError, match="nothing in it was executed"):
        read_adapter(folder)
    assert not (tmp_path / "executed").exists()
    os.rename(folder / "adapter_model.bin", folder / WEIGHTS)
    with pytest.raises(AdapterError, match="cannot be read"):
        read_adapter(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("value", [[1], {"a": {"b": torch.zeros(1)}}, {1: torch.zeros(1)}, 3.0])
def test_bins_that_hold_something_else(value, tmp_path):
    torch.save(value, tmp_path / "adapter_model.bin")
    with pytest.raises(AdapterError, match="no table of tensors"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no zip"])
def test_bins_that_are_no_bins(content, tmp_path):
    (tmp_path / "adapter_model.bin").write_bytes(content)
    with pytest.raises(AdapterError, match="adapter_model.bin"):
        read_adapter(tmp_path)


def test_the_same_tensors_and_text_give_the_same_bytes(tmp_path):
    header = {letter: "x" for letter in "qwertyuiop"}
    for name in "abcd":
        write_safetensors(tmp_path / name / "x", {"t": torch.zeros(3)}, header)
    assert len({(tmp_path / name / "x").read_bytes() for name in "abcd"}) == 1
    with safe_open(tmp_path / "a" / "x", framework="pt") as stored:
        assert stored.metadata() == header


def test_headers_of_what_is_no_safetensors_file(tmp_path):
    (tmp_path / "x.safetensors").write_text("x")
    assert read_header(tmp_path / "x.safetensors") == {}
    assert read_header(tmp_path / "no.safetensors") == {}
    with pytest.raises(AdapterError, match="no adapter file") as caught:
        read_tensors(tmp_path / "x.exe")
    assert ".safetensors" in caught.value.hint


def test_a_failed_write_keeps_what_was_there(tmp_path):
    file = tmp_path / "x.safetensors"
    write_safetensors(file, {"a": torch.ones(2)}, {"format": "pt"})
    before = file.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write_safetensors(file, {"a": torch.ones(2)}, {"format": 3})
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
