"""What an adapter was made of: found, read, refused; a digest of values, not of files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acestep.adapters.files import read_adapter
from acestep.adapters.layouts import write_diffusers, write_peft
from acestep.adapters.manifest import (
    FORMAT,
    MANIFEST,
    manifest_beside,
    read_manifest,
    weights_digest,
    with_adapter,
)
from acestep.errors import AdapterError

ADAPTER = Path(__file__).parents[1] / "golden" / "adapters" / "upstream_peft_attn_r4_a8"
WHOLE = {
    "format": FORMAT, "base": {}, "dataset": {}, "songs": [], "tensors": "", "preprocess": {},
    "train": {}, "machine": {}, "packages": {},
}  # fmt: skip


@pytest.fixture
def run(tmp_path) -> Path:
    """A run's folder with one checkpoint and its manifest."""
    run = tmp_path / "runs" / "jazz"
    shutil.copytree(ADAPTER, run / "checkpoints" / "epoch_20")
    (run / "events.jsonl").touch()
    (run / MANIFEST).write_text(json.dumps(WHOLE))
    return run


def test_the_digest_is_of_the_values(tmp_path):
    adapter = read_adapter(ADAPTER)
    write_peft(adapter, tmp_path / "peft", pickled=True)
    write_diffusers(adapter, tmp_path / "diffusers")
    prints = {weights_digest(read_adapter(tmp_path / name)) for name in ("peft", "diffusers")}
    assert prints == {weights_digest(adapter)}
    name = next(iter(adapter.weights))
    nudged = torch.nextafter(adapter.weights[name], torch.tensor(torch.inf))
    other = replace(adapter, weights={**adapter.weights, name: nudged})
    assert weights_digest(other) != weights_digest(adapter)


def test_it_is_found_from_every_place_that_names_the_adapter(run, tmp_path):
    wanted = run / MANIFEST
    checkpoint = run / "checkpoints" / "epoch_20"
    weights = next(checkpoint.glob("adapter_model*"))
    for place in (run, run / "checkpoints", checkpoint, weights):
        assert manifest_beside(place) == wanted
    exported = tmp_path / "lora"
    shutil.copytree(ADAPTER, exported)
    assert manifest_beside(exported) is None
    (exported / MANIFEST).write_text("{}")
    assert manifest_beside(exported) == exported / MANIFEST


def test_an_adapter_keeps_the_name_of_its_checkpoint(run):
    manifest = with_adapter(WHOLE, read_adapter(run))
    assert manifest["adapter"]["checkpoint"] == "epoch_20"
    again = with_adapter(manifest, read_adapter(ADAPTER))
    assert again["adapter"] == manifest["adapter"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("\xff", "not a manifest|cannot be read"),
        ("[]", "not a manifest"),
        ('{"format": 99}', "not a manifest of format"),
        (json.dumps({**WHOLE, "songs": "eight"}), "lacks songs"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, text, said):
    file = tmp_path / MANIFEST
    file.write_text(text)
    with pytest.raises(AdapterError, match=said) as caught:
        read_manifest(file)
    assert str(file) in str(caught.value) and caught.value.hint
