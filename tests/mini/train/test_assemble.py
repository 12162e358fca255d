import json

import pytest
import torch
from safetensors.torch import load_file

from acestep.errors import ModelError
from acestep.events import Finished
from acestep.mini.train import assemble
from acestep.mini.train.assemble import AssembleConfig, train, write_pipeline
from acestep.mini.train.shapes import (
    build_condition_encoder,
    build_text_encoder,
    build_transformer,
)
from acestep.model.find import find_model
from tests.mini.train.conftest import ENDLESS


def modules():
    return {
        "text": build_text_encoder(),
        "condition": build_condition_encoder(torch.zeros(1, 15_000, 64)),
        "transformer": build_transformer(),
    }


def test_the_folder_is_a_base_model_of_at_most_20_mb(root):
    size = write_pipeline(root, modules())
    assert 19_000_000 < size <= assemble.LARGEST == 20_000_000
    model = find_model(str(root / "pipeline"))
    assert (model.variant, model.is_xl, model.has_audio_tokenizer) == ("turbo", False, True)
    stored = load_file(root / "pipeline" / "transformer" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    index = json.loads((root / "pipeline" / "model_index.json").read_text())
    folders = {path.name for path in (root / "pipeline").iterdir() if path.is_dir()}
    assert folders == {name for name in index if not name.startswith("_")}


def test_diffusers_reads_it_by_itself(root):
    diffusers = pytest.importorskip("diffusers")
    write_pipeline(root, modules())
    pipeline = diffusers.AceStepPipeline.from_pretrained(str(root / "pipeline"))
    assert pipeline.is_turbo


def test_a_folder_that_is_too_large_is_refused(root, monkeypatch):
    monkeypatch.setattr(assemble, "LARGEST", 1_000_000)
    with pytest.raises(ModelError, match="may have 1 MB"):
        write_pipeline(root, modules())


def test_the_last_saved_state_can_be_assembled(root):
    from acestep.mini.train.dit import DitConfig
    from acestep.mini.train.dit import train as train_dit

    with pytest.raises(ModelError, match="dit.safetensors is missing"):
        list(train(AssembleConfig(resume=root), 0))
    list(train_dit(DitConfig(resume=root, steps=1, batch=1, fused=False), ENDLESS))
    weights = root / "pipeline" / "transformer" / "diffusion_pytorch_model.safetensors"
    written = weights.read_bytes()
    weights.unlink()
    assert isinstance(list(train(AssembleConfig(resume=root), 0))[-1], Finished)
    assert weights.read_bytes() == written
