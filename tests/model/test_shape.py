"""The size of a base model, without its weights."""

import json
import math
import shutil

import pytest

from acestep.errors import ModelError
from acestep.model.base import find_model
from acestep.model.find import KNOWN, packaged_folder
from acestep.model.layout import read_header
from acestep.model.shape import SHAPES, find_base


def test_the_small_models_parameters_are_those_in_its_file():
    base = find_base("mini")
    counted = sum(
        math.prod(entry["shape"])
        for file in find_model("mini").weights("transformer")
        for key, entry in read_header(file)[0].items()
        if key != "__metadata__"
    )
    assert base.variant == "turbo" and base.shape.width == 192 and base.present
    assert base.shape.parameters == pytest.approx(counted, rel=0.01)


def test_published_models_have_the_published_sizes():
    assert SHAPES.keys() == KNOWN.keys()
    assert SHAPES["acestep-v15-turbo"].parameters == pytest.approx(1.575e9, rel=1e-3)
    assert SHAPES["acestep-v15-xl-sft"].parameters == pytest.approx(4.17e9, rel=1e-3)


def test_an_adapter_has_rank_times_inputs_and_outputs(tmp_path):
    from acestep.adapters.attach import attach, trainable_parameters
    from acestep.config import TrainConfig
    from acestep.model.base import load_transformer
    from acestep.model.device import choose_device, choose_dtype

    device = choose_device("cpu")
    for targets in ("attention", "attention+mlp", "self"):
        transformer = load_transformer(find_model("mini"), device, choose_dtype(device))
        attach(transformer, TrainConfig(tensors=tmp_path, rank=5, targets=targets))
        real = sum(p.numel() for p in trainable_parameters(transformer).values())
        assert find_base("mini").shape.adapter_parameters(5, targets) == real
    assert SHAPES["acestep-v15-turbo"].adapter_parameters(64, "attention") == 44_040_192


def test_a_model_that_is_not_here_is_known_by_its_name_or_not_at_all():
    published = find_base("acestep-v15-xl-base")
    assert published.variant == "base" and not published.present
    with pytest.raises(ModelError, match="no base model"):
        find_base("my-model")


def test_a_config_without_a_size_is_refused(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(packaged_folder(), folder)
    path = folder / "transformer" / "config.json"
    config = json.loads(path.read_text())
    config["num_attention_heads"] = "six"
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="num_attention_heads"):
        find_base(str(folder))
