"""What the Service page chose, on disk, and what it means for the verbs."""

import shutil
from pathlib import Path

import pytest

from acestep.errors import AdapterError
from acestep.web.service import (
    LoadedAdapter,
    Service,
    adapter_rows,
    how_well,
    read_service,
    tags_of,
    write_service,
)
from acestep.web.workspace import Workspace

ADAPTER = Path(__file__).parents[1] / "golden" / "adapters" / "upstream_peft_attn_r4_a8"


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open([tmp_path])


def test_choices_come_back_as_they_were(workspace):
    assert read_service(workspace) == Service()
    chosen = Service("big", "cpu", offload=True, adapters=(LoadedAdapter("a", 0.4, False),))
    write_service(workspace, chosen)
    assert read_service(workspace) == chosen
    for text in ("", "[]", '{"format": 1, "adapters": [{"x": 1}]}'):
        (workspace.state / "service.json").write_text(text)
        assert read_service(workspace) == Service()


def test_adapters_have_a_strength_each_and_a_switch_for_all():
    service = Service().with_adapter("a").with_adapter("b").changed("b", strength=0.5)
    assert service.generating()["lora"] == ["a", "b"]
    assert service.generating()["lora_scale"] == [1.0, 0.5]
    assert service.changed("a", on=False).generating()["lora"] == ["b"]
    assert service.generating(adapters=False)["lora"] == []
    assert Service(use_lora=False, adapters=service.adapters).generating()["lora"] == []
    assert service.without("a").generating()["lora"] == ["b"]
    with pytest.raises(AdapterError, match="loaded already"):
        service.with_adapter("a")


def test_offload_and_tiles():
    assert not Service().generating()["offload"]
    assert Service(offload_dit=True).generating()["offload"]
    assert Service(offload=True, tiled=True).preprocessing() == {
        "offload": True,
        "tile_seconds": 10.0,
    }
    assert "tile_seconds" not in Service().preprocessing()


def test_the_table_says_what_an_adapter_is(tmp_path):
    folder = tmp_path / "my lora"
    shutil.copytree(ADAPTER, folder)
    service = Service().with_adapter(str(folder)).with_adapter(str(tmp_path / "gone"))
    first, second = adapter_rows(service)
    assert first[0] == "my lora" and first[3] == "lora 4" and first[-2:] == ["✓", str(folder)]
    assert "no such file" in second[5] and second[-2] == "–"
    assert tags_of(service) == []


def test_how_well_is_the_evaluations_headline_or_the_held_out_loss():
    losses = {"held_out_loss": 0.25, "base_held_out_loss": 0.5}
    assert how_well(losses) == "held-out loss 0.250 (base 0.500)"
    assert how_well({**losses, "measured": {"headline": "It learned."}}) == "It learned."
    assert how_well({}) == ""
