"""Which base an adapter wants, what it is called, when its tag is missed."""

from pathlib import Path

import pytest
import torch

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.stack import (
    AdaptedParts,
    activation_tag,
    choose_model,
    free_name,
    other_base,
)
from acestep.errors import AdapterError
from acestep.model.base import find_model

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = str(GOLDEN / "upstream_tiny/acestep-v15-turbo")
JAZZ = GOLDEN / "adapters/upstream_peft_attn_r4_a8"


def carded(**card) -> Adapter:
    adapter = read_adapter(JAZZ)
    return Adapter(adapter.weights, adapter.alphas, card=card)


def open_parts(**options) -> AdaptedParts:
    return AdaptedParts(find_model(TINY), torch.device("cpu"), torch.float32, **options)


def test_names(tmp_path):
    assert free_name(Path("runs/jazz/"), []) == "jazz"
    assert free_name(Path("runs/jazz/"), ["jazz", "jazz_2"]) == "jazz_3"
    (tmp_path / "lofi.v2.safetensors").touch()
    assert free_name(tmp_path / "lofi.v2.safetensors", []) == "lofi.v2"


def test_other_bases():
    model = find_model(TINY)
    assert other_base(carded(), model) == ""
    assert other_base(carded(base_model=model.name), model) == ""
    own = {"base_model": "elsewhere", "base_fingerprint": model.fingerprint}
    assert other_base(carded(**own), model) == ""
    assert "mini" in other_base(carded(base_model="mini"), model)
    strange = {"base_model": model.name, "base_path": "/old", "base_fingerprint": "0"}
    assert "/old" in other_base(carded(**strange), model)


def test_tags():
    assert activation_tag(carded()) == ""
    assert activation_tag(carded(dataset={"tag": "zztune"})) == "zztune"
    assert activation_tag(carded(dataset={"tag": 3})) == ""


def test_a_tag_is_missed_while_its_adapter_acts():
    parts = open_parts()
    parts.add(carded(dataset={"tag": "zztune"}), "jazz")
    assert parts.missing_tags("ZZTUNE, piano") == []
    assert len(parts.missing_tags("piano")) == 1
    parts.rescale({"jazz": 0})
    assert parts.missing_tags("piano") == []


def test_the_named_base_counts_then_the_adapters_then_the_small_one():
    adapters, model = choose_model(TINY, [JAZZ, JAZZ])
    assert list(adapters) == [JAZZ.name, f"{JAZZ.name}_2"]
    assert model.name == "acestep-v15-turbo"
    assert choose_model(None, [JAZZ])[1].name == "mini"
    assert choose_model(None, [])[1].name == "mini"


def test_adapters_go_on_again_when_the_transformer_is_loaded_again():
    parts = open_parts()
    parts.add(read_adapter(JAZZ), "jazz", 0.5)
    before = parts.transformer()
    parts.free()
    assert parts.transformer() is not before
    parts.rescale({"jazz": 0.25})
    parts.remove("jazz")
    with pytest.raises(AdapterError, match="jazz"):
        parts.remove("jazz")


def test_a_strength_that_is_no_number_changes_none():
    parts = open_parts()
    parts.add(read_adapter(JAZZ), "jazz", 0.5)
    with pytest.raises(AdapterError):
        parts.rescale({"jazz": float("inf")})
    with pytest.raises(AdapterError):
        parts.rescale({"jazz": 1.0, "lofi": 1.0})
    assert parts.scales() == {"jazz": 0.5}
