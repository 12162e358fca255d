import json
import shutil
import struct
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from acestep.errors import ModelError
from acestep.model import layout
from acestep.model.find import find_model
from acestep.model.layout import is_model, model_files, read_header, weight_files

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = "acestep-v15-turbo"
COPIES = {"original": ("upstream_tiny", CHECKPOINT), "diffusers": ("diffusers_tiny", ".")}


@pytest.fixture(params=["original", "diffusers"])
def folder(request, tmp_path):
    """A private copy of the tiny model in each layout."""
    source, inner = COPIES[request.param]
    shutil.copytree(GOLDEN / source, tmp_path / "models")
    return tmp_path / "models" / inner


@pytest.fixture
def checkpoint(tmp_path):
    shutil.copytree(GOLDEN / "upstream_tiny", tmp_path / "models")
    return tmp_path / "models" / CHECKPOINT


def shard(folder: Path, stem: str, count: int) -> list[Path]:
    """Split ``<stem>.safetensors`` into shards with an index, as large checkpoints come."""
    whole = folder / f"{stem}.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    files, table = [], {}
    for at in range(count):
        file = folder / f"{stem}-{at + 1:05}-of-{count:05}.safetensors"
        save_file({name: tensors[name] for name in names[at::count]}, file, {"format": "pt"})
        table |= dict.fromkeys(names[at::count], file.name)
        files.append(file)
    index = {"metadata": {}, "weight_map": table}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    whole.unlink()
    return files


def files_of(folder: Path) -> list[Path]:
    return model_files(find_model(str(folder)))


def test_facts_of_both_layouts(folder):
    model = find_model(str(folder))
    assert (model.variant, model.is_xl, model.name) == ("turbo", False, folder.resolve().name)
    assert (model.time_mu, model.time_sigma, model.data_proportion) == (-0.4, 1.0, 0.5)
    assert find_model(model.source) == model
    assert model.config("transformer")["sliding_window"] == 4


def test_other_values_in_the_config_are_taken(checkpoint):
    file = checkpoint / "config.json"
    config = json.loads(file.read_text())
    other = {"timestep_mu": 0.1, "timestep_sigma": 0.9, "data_proportion": 0.25, "is_turbo": False,
             "model_version": "sft", "rope_theta": 5e5, "rms_norm_eps": 1e-5}  # fmt: skip
    file.write_text(json.dumps(config | other))
    model = find_model(str(checkpoint))
    assert (model.time_mu, model.time_sigma, model.data_proportion) == (0.1, 0.9, 0.25)
    assert model.variant == "sft"
    for component in ("transformer", "condition_encoder", "audio_tokenizer"):
        ours = model.config(component)
        assert (ours["rope_theta"], ours["rms_norm_eps"]) == (5e5, 1e-5)


def test_each_missing_file_is_named(folder):
    for file in files_of(folder):
        hidden = file.with_name("elsewhere")
        file.rename(hidden)
        with pytest.raises(ModelError, match=file.name) as caught:
            find_model(str(folder))
        assert str(file.parent.name) in str(caught.value) and caught.value.hint
        hidden.rename(file)
    find_model(str(folder))


@pytest.mark.parametrize("part", ["vae", "Qwen3-Embedding-0.6B"])
def test_a_missing_companion_folder_is_named_with_its_place(checkpoint, part):
    shutil.rmtree(checkpoint.parent / part)
    with pytest.raises(ModelError, match=f"there is no {part}/") as caught:
        find_model(str(checkpoint))
    assert str(checkpoint.parent / part) in str(caught.value)
    assert "ACE-Step/Ace-Step1.5" in caught.value.hint


def test_truncated_and_damaged_weights_are_named(folder):
    for file in files_of(folder):
        if file.suffix != ".safetensors":
            continue
        whole = file.read_bytes()
        for broken, why in (
            (whole[:-1], "truncated"),
            (whole + b"\0", "truncated or damaged"),
            (whole[:5], "not a safetensors file"),
            (struct.pack("<Q", 1 << 60) + whole[8:], "not a safetensors file"),
            (b"<html>not found</html>" * 9, "not a safetensors file"),
        ):
            file.write_bytes(broken)
            with pytest.raises(ModelError, match=why) as caught:
                find_model(str(folder))
            assert str(file) in str(caught.value)
        file.write_bytes(whole)


def test_shards_are_read_and_a_missing_one_is_named(checkpoint):
    shards = shard(checkpoint, "model", 3)
    model = find_model(str(checkpoint))
    assert model.weights("transformer") == shards
    shards[1].unlink()
    with pytest.raises(ModelError, match=shards[1].name):
        find_model(str(checkpoint))


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/etc/hostname", "a/b.safetensors"])
def test_an_index_cannot_name_files_elsewhere(checkpoint, name):
    shard(checkpoint, "model", 2)
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"decoder.norm_out.weight": name}}))
    with pytest.raises(ModelError, match="outside its folder"):
        find_model(str(checkpoint))


@pytest.mark.parametrize("text", ["", "[1]", "{", "\ufffd"])
def test_a_config_that_is_no_object_is_named(folder, text):
    config = next(file for file in files_of(folder) if file.name == "config.json")
    config.write_text(text)
    with pytest.raises(ModelError, match=str(config)):
        find_model(str(folder))


def test_a_config_may_begin_with_a_byte_order_mark(checkpoint):
    file = checkpoint / "config.json"
    file.write_text("\ufeff" + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert find_model(str(checkpoint)).variant == "turbo"


def test_other_programs_models_are_refused(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ModelError, match="StableDiffusionPipeline, not an AceStepPipeline"):
        find_model(str(tmp_path))
    (tmp_path / "model_index.json").unlink()
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    with pytest.raises(ModelError, match="'qwen3' model, not acestep"):
        find_model(str(tmp_path))
    assert not is_model(tmp_path)


def test_a_transformer_alone_is_told_where_it_goes(tmp_path):
    part = tmp_path / "merged"
    part.mkdir()
    (part / "config.json").write_text('{"_class_name": "AceStepTransformer1DModel"}')
    with pytest.raises(ModelError, match="one part of a model") as caught:
        find_model(str(part))
    assert "transformer/" in caught.value.hint


def test_the_folder_of_all_checkpoints_leads_to_the_one_in_it(checkpoint):
    with pytest.raises(ModelError, match="not a model folder") as caught:
        find_model(str(checkpoint.parent))
    assert str(checkpoint) in caught.value.hint


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("vae", {"decoder_input_channels": 64}, "latent channels"),
        ("Qwen3-Embedding-0.6B", {"hidden_size": 1024}, "text width"),
        ("vae", {"sampling_rate": 44100}, "48 kHz"),
        ("vae", {"downsampling_ratios": [32, 5, 4, 3]}, "even strides"),
    ],
)
def test_parts_of_different_models_are_refused(checkpoint, part, change, said):
    file = checkpoint.parent / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelError, match=said):
        find_model(str(checkpoint))


def test_fingerprint_follows_content_not_place(folder, tmp_path):
    before = find_model(str(folder)).fingerprint
    moved = shutil.copytree(tmp_path / "models", tmp_path / "other")
    inner = moved / folder.name if folder.name == CHECKPOINT else moved
    assert find_model(str(inner)).fingerprint == before


def test_fingerprint_changes_with_every_file(folder):
    before = find_model(str(folder)).fingerprint
    seen = {before}
    for file in files_of(folder):
        whole = file.read_bytes()
        if file.suffix == ".json":
            config = json.loads(whole)
            file.write_text(json.dumps(config, indent=7))
        else:
            file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        seen.add(find_model(str(folder)).fingerprint)
        file.write_bytes(whole)
    assert len(seen) == 1 + len(files_of(folder))
    assert find_model(str(folder)).fingerprint == before


def test_fingerprint_of_large_files_reads_samples_of_every_tensor(checkpoint, monkeypatch):
    monkeypatch.setattr(layout, "_WHOLE_FILE", 0)
    monkeypatch.setattr(layout, "_SAMPLE", 16)
    before = find_model(str(checkpoint)).fingerprint
    file = checkpoint / "model.safetensors"
    whole = bytearray(file.read_bytes())
    header, start = read_header(file)
    keys = [key for key in header if key != "__metadata__"]
    for key in keys[::10]:
        at = start + header[key]["data_offsets"][1] - 1
        whole[at] ^= 1
        file.write_bytes(whole)
        assert find_model(str(checkpoint)).fingerprint != before, key
        whole[at] ^= 1


def test_whole_weights_are_preferred_to_an_index_left_over(checkpoint):
    (checkpoint / "model.safetensors.index.json").write_text("{}")
    assert weight_files(checkpoint, "model") == [checkpoint / "model.safetensors"]
