import shutil

import pytest
from adapter_data import (
    ADAPTERS,
    FOLDERS,
    copy_adapter,
    trained,
)

from acestep.adapters.files import read_adapter, save_adapter
from acestep.adapters.locate import choose_checkpoint, find_files, is_run, run_checkpoints
from acestep.errors import AdapterError, RunError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def checkpoint(run, name, seed):
    save_adapter(trained(seed=seed), run / "checkpoints" / name, card={"seed": seed})


def test_a_run_means_its_newest_checkpoint(tmp_path):
    run = tmp_path / "runs" / "jazz"
    for seed, name in enumerate(("epoch_2", "epoch_10", "epoch_9_step_39", "broken_epoch_99_0")):
        checkpoint(run, name, seed)
    (run / "checkpoints" / ".tmp-x").mkdir()
    (run / "config.json").write_text("{}")
    assert read_adapter(run).card == {"seed": 1}
    assert read_adapter(run / "checkpoints" / "epoch_2").card == {"seed": 0}
    checkpoint(run, "epoch_10_step_41", 7)
    assert read_adapter(run).card == {"seed": 7}


def test_a_run_without_a_checkpoint_says_so(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(AdapterError, match="no checkpoint yet"):
        read_adapter(tmp_path)


def test_the_original_programs_folders(tmp_path):
    copy_adapter("A", tmp_path / "out" / "checkpoints" / "epoch_9" / "adapter")
    copy_adapter("B", tmp_path / "out" / "checkpoints" / "epoch_10" / "adapter")
    (tmp_path / "out" / "checkpoints" / "epoch_10" / "training_state.pt").write_bytes(b"x")
    assert len(read_adapter(tmp_path / "out").modules) == 44
    assert len(read_adapter(tmp_path / "out" / "checkpoints" / "epoch_9").modules) == 32
    copy_adapter("D", tmp_path / "out" / "final" / "adapter")
    for path in ("out", "out/final", "out/final/adapter"):
        assert read_adapter(tmp_path / path).kind == "rslora"


def test_single_files_and_folders_with_one(tmp_path):
    name = "comfyui_native_attn_r4_a8.safetensors"
    shutil.copy(ADAPTERS / name, tmp_path / "x.safetensors")
    assert read_adapter(tmp_path).alphas == read_adapter(tmp_path / "x.safetensors").alphas
    assert read_adapter(str(tmp_path)).modules  # text will do
    shutil.copy(ADAPTERS / name, tmp_path / "y.safetensors")
    with pytest.raises(AdapterError, match="2 files that could be meant: x.safetensors, y"):
        read_adapter(tmp_path)
    diffusers = ADAPTERS / "diffusers_lora_attn_r4_a8" / "pytorch_lora_weights.safetensors"
    assert read_adapter(diffusers).layout == "diffusers"
    assert read_adapter(FOLDERS["B"] / WEIGHTS).alphas["layers.0.self_attn.to_q"] == 6


@pytest.mark.parametrize("make", [lambda p: p / "no", lambda p: p, lambda p: p / "song.wav"])
def test_nothing_there(make, tmp_path):
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(AdapterError) as caught:
        read_adapter(make(tmp_path))
    assert str(make(tmp_path)) in str(caught.value) and caught.value.hint


def test_checkpoints_are_in_the_order_of_training(tmp_path):
    for name in ("epoch_1", "epoch_10", "epoch_2_step_10", "epoch_2_step_9", "epoch_2", "epoch_x"):
        copy_adapter("A", tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints" / "epoch_11").mkdir()
    found = [path.name for path in run_checkpoints(tmp_path)]
    assert found == ["epoch_1", "epoch_2", "epoch_2_step_9", "epoch_2_step_10", "epoch_10"]
    assert choose_checkpoint(tmp_path, None).name == "epoch_10"
    assert choose_checkpoint(tmp_path, "epoch_2").name == "epoch_2"
    with pytest.raises(RunError, match="no such checkpoint") as caught:
        choose_checkpoint(tmp_path, "epoch_11")
    assert "epoch_2_step_9" in caught.value.hint
    assert is_run(tmp_path) and not is_run(tmp_path / "checkpoints" / "epoch_1")


def test_the_configuration_belongs_to_the_weights_beside_it_only(tmp_path):
    folder = copy_adapter("A", tmp_path / "a")
    shutil.copy(ADAPTERS / "comfyui_native_attn_r4_a8.safetensors", folder / "x.safetensors")
    assert find_files(folder / WEIGHTS).config == folder / CONFIG
    assert find_files(folder / "x.safetensors").config is None
