import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from adapter_data import (
    FOLDERS,
    GOLDEN,
    TOLERANCE,
    furthest,
    golden_velocity,
    tiny_transformer,
    velocity,
)
from diffusers import AceStepPipeline, AceStepTransformer1DModel
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from acestep.adapters.attach import attach, trainable_parameters
from acestep.adapters.files import read_adapter, save_adapter
from acestep.adapters.mount import mount
from acestep.config import ExportConfig, TrainConfig
from acestep.errors import AdapterError, ConfigError, ModelError, RunError
from acestep.events import Finished, Notice, Saved, Started
from acestep.export import adapter_name, export
from acestep.model.base import find_model

TINY = GOLDEN / "diffusers_tiny"
CARD = {"base_model": "tiny", "base_path": str(TINY), "dataset": {"tag": "mytag"}, "step": 3}
FORMATS = ("peft", "diffusers", "comfyui", "upstream")


def run_export(source, output, **knobs):
    return list(export(ExportConfig(run=source, output=output, **knobs)))


def mounted_velocity(path, base=None):
    transformer = base or tiny_transformer()
    mount(transformer, read_adapter(path), "x")
    return velocity(transformer)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with two checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "my jazz"
    for number in (200, 400):
        transformer = tiny_transformer()
        attach(transformer, TrainConfig(tensors="unused", rank=4, alpha=8, dropout=0))
        with torch.no_grad():
            for parameter in trainable_parameters(transformer).values():
                parameter.add_(0.001 * number)
        save_adapter(
            transformer, folder / "checkpoints" / f"epoch_{number}", card={**CARD, "epoch": number}
        )
    (folder / "events.jsonl").write_text("")
    return folder


# What is written, others play


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_reads_back_as_the_same_adapter(format, letter, tmp_path):
    events = run_export(FOLDERS[letter], tmp_path / "out", format=format)
    before, after = read_adapter(FOLDERS[letter]), read_adapter(Path(events[-1].path))
    assert after.modules == before.modules
    assert all(torch.equal(after.weights[k], v) for k, v in before.weights.items())
    for module in before.modules:
        assert after.scaling(module) == pytest.approx(before.scaling(module), rel=1e-7)
    assert after.notes == ()
    assert after.layout == format
    assert furthest(mounted_velocity(events[-1].path), golden_velocity(f"{letter}.velocity")) < (
        TOLERANCE
    )


@pytest.mark.parametrize("letter", "ABCD")
def test_diffusers_plays_its_file_at_the_trained_strength(letter, tmp_path):
    run_export(FOLDERS[letter], tmp_path, format="diffusers")
    pipeline = AceStepPipeline.from_pretrained(TINY)
    pipeline.transformer.eval().requires_grad_(False)
    base = velocity(pipeline.transformer)
    pipeline.load_lora_weights(tmp_path)
    found = velocity(pipeline.transformer)
    assert furthest(found, golden_velocity(f"{letter}.velocity")) < TOLERANCE
    assert furthest(found, base) > 0.1


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("bin", [False, True])
def test_peft_plays_its_folder(letter, bin, tmp_path):
    run_export(FOLDERS[letter], tmp_path / "out", bin=bin)
    weights = "adapter_model.bin" if bin else "adapter_model.safetensors"
    assert names(tmp_path / "out") == ["README.md", "adapter_config.json", weights, "card.json"]
    theirs = PeftModel.from_pretrained(tiny_transformer(), tmp_path / "out").eval()
    assert furthest(velocity(theirs), golden_velocity(f"{letter}.velocity")) < TOLERANCE
    if bin:
        plain = torch.load(tmp_path / "out" / weights, weights_only=True)
        assert {type(value) for value in plain.values()} == {torch.Tensor}


@pytest.mark.parametrize("letter", "ABCD")
def test_original_names_are_those_of_the_original(letter, tmp_path):
    """From the diffusers names of our own folder back to the file the original wrote."""
    run_export(FOLDERS[letter], tmp_path / "peft")
    run_export(tmp_path / "peft", tmp_path / "back", format="upstream")
    golden, found = (
        load_file(f / "adapter_model.safetensors") for f in (FOLDERS[letter], tmp_path / "back")
    )
    assert golden.keys() == found.keys()
    assert all(torch.equal(golden[key], found[key]) for key in golden)
    theirs, ours = (
        json.loads((f / "adapter_config.json").read_text())
        for f in (FOLDERS[letter], tmp_path / "back")
    )
    assert set(theirs.pop("target_modules")) == set(ours.pop("target_modules"))
    assert ours == {key: theirs[key] for key in ours}
    middle = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    assert not any("q_proj" in key for key in middle)


def test_comfyui_dora_scales_are_columns_and_the_user_is_told(tmp_path):
    events = run_export(FOLDERS["C"], tmp_path, format="comfyui")
    tensors = load_file(events[-1].path)
    scales = [value for key, value in tensors.items() if key.endswith(".dora_scale")]
    assert len(scales) == 32 and all(value.shape[1:] == (1,) for value in scales)
    assert any(isinstance(event, Notice) and "DoRA" in event.message for event in events)


@pytest.mark.parametrize("letter", "ABCD")
def test_merged_is_a_transformer_of_its_own(letter, tmp_path):
    events = run_export(FOLDERS[letter], tmp_path / "out", format="merged", model=str(TINY))
    merged = AceStepTransformer1DModel.from_pretrained(tmp_path / "out").eval()
    assert furthest(velocity(merged), golden_velocity(f"{letter}.velocity")) < TOLERANCE
    assert merged.config["hidden_size"] == 32
    assert names(tmp_path / "out") == [
        "card.json",
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    assert isinstance(events[-1], Finished) and events[-1].path == str(tmp_path / "out")


def test_merged_keeps_the_precision_of_the_base_and_rounds_once(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TINY, folder)
    tiny_transformer(torch.bfloat16).save_pretrained(folder / "transformer")
    run_export(FOLDERS["A"], tmp_path / "out", format="merged", model=str(folder))
    found = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    base = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    adapter = read_adapter(FOLDERS["A"])
    assert {value.dtype for value in found.values()} == {torch.bfloat16}
    assert str(tmp_path) not in (tmp_path / "out" / "config.json").read_text()
    for key, value in base.items():
        module = key.removesuffix(".weight")
        expected = value
        if module in adapter.alphas:
            down, up = (adapter.weights[f"{module}.lora_{half}.weight"] for half in "AB")
            expected = (value.double() + 2 * up.double() @ down.double()).bfloat16()
        assert torch.equal(found[key], expected) or module in adapter.alphas
        assert (found[key] != expected).float().mean() < 0.01  # a rounding of a rounding


def test_merged_finds_the_base_of_a_run_and_refuses_a_guess(run, tmp_path):
    expected = mounted_velocity(run)
    run_export(run, tmp_path / "out", format="merged")
    merged = AceStepTransformer1DModel.from_pretrained(tmp_path / "out").eval()
    assert furthest(velocity(merged), expected) < 1e-4
    card = json.loads((tmp_path / "out" / "card.json").read_text())["card"]
    assert card["merged"] and card["base_fingerprint"] == find_model(str(TINY)).fingerprint
    with pytest.raises(ConfigError, match="--model"):
        run_export(FOLDERS["A"], tmp_path / "guess", format="merged")
    with pytest.raises(ModelError):
        run_export(FOLDERS["A"], tmp_path / "guess", format="merged", model=str(tmp_path / "no"))
    with pytest.raises(AdapterError, match="does not fit"):
        run_export(FOLDERS["A"], tmp_path / "guess", format="merged", model="mini")
    assert not (tmp_path / "guess").exists()


# Which adapter


def test_events_tell_what_was_written(run, tmp_path):
    events = run_export(run, tmp_path / "out")
    assert isinstance(events[0], Started) and events[0].facts["modules"] == 32
    saved = [event.path for event in events if isinstance(event, Saved)]
    assert sorted(saved) == [str(tmp_path / "out" / name) for name in names(tmp_path / "out")]
    assert events[-1] == Finished("export", str(tmp_path / "out"))


def test_the_newest_checkpoint_or_the_named_one(run, tmp_path):
    run_export(run, tmp_path / "newest")
    run_export(run, tmp_path / "older", checkpoint="epoch_200")
    run_export(run / "checkpoints" / "epoch_200", tmp_path / "direct")
    cards = {name: read_adapter(tmp_path / name).card for name in ("newest", "older", "direct")}
    assert {name: card["epoch"] for name, card in cards.items()} == {
        "newest": 400,
        "older": 200,
        "direct": 200,
    }
    assert cards["newest"]["dataset"] == {"tag": "mytag"}


def test_a_checkpoint_that_is_not_there(run, tmp_path):
    with pytest.raises(RunError, match="no such checkpoint") as caught:
        run_export(run, tmp_path / "out", checkpoint="epoch_300")
    assert caught.value.hint == "there are epoch_200, epoch_400"
    with pytest.raises(RunError, match="no such checkpoint"):
        run_export(run, tmp_path / "out", checkpoint="../../etc")
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    with pytest.raises(RunError, match="no checkpoint yet"):
        run_export(tmp_path / "empty", tmp_path / "out", checkpoint="epoch_1")
    with pytest.raises(AdapterError, match="no checkpoint yet"):
        run_export(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_knobs_that_disagree_are_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        ExportConfig(run=FOLDERS["A"], format="comfyui", bin=True, model="mini")
    assert [problem.split()[0] for problem in caught.value.problems] == ["--bin", "--model"]
    with pytest.raises(ConfigError, match="--checkpoint x: .* is not a run's folder"):
        run_export(FOLDERS["A"], tmp_path, checkpoint="x")


@pytest.mark.parametrize(
    "path, checkpoint, name",
    [
        ("runs/jazz", None, "jazz"),
        ("runs/jazz", "epoch_400", "jazz_epoch_400"),
        ("runs/jazz/checkpoints/epoch_2", None, "jazz_epoch_2"),
        ("out/jazz/final/adapter", None, "jazz"),
        ("runs/K팝 (v1.5): größer?/", None, "K팝 _v1.5__ größer_"),
        ("runs/...", None, "adapter"),
        ("runs/" + "x" * 300, None, "x" * 100),
    ],
)
def test_file_names_are_plain(path, checkpoint, name):
    assert adapter_name(ExportConfig(run=path, checkpoint=checkpoint)) == name


def test_diffusers_files_may_be_named(tmp_path, run):
    file = tmp_path / "loras" / "mine.safetensors"
    events = run_export(run, file, format="diffusers")
    assert names(tmp_path / "loras") == ["mine.safetensors"] and events[-1].path == str(file)
    assert furthest(mounted_velocity(file), mounted_velocity(run)) == 0


@pytest.mark.parametrize("format", ["peft", "upstream", "merged"])
def test_a_folder_is_not_called_like_a_file(format, tmp_path, run):
    with pytest.raises(ConfigError, match=f"{format} is a folder"):
        run_export(run, tmp_path / "mine.safetensors", format=format)
    assert not names(tmp_path)


def test_comfyui_files_may_be_named(tmp_path, run):
    run_export(run, tmp_path / "loras" / "mine.safetensors", format="comfyui")
    run_export(run, tmp_path / "loras", format="comfyui", checkpoint="epoch_200")
    assert names(tmp_path / "loras") == ["mine.safetensors", "my jazz_epoch_200.safetensors"]


# What is there already


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_others_files_stay_and_our_own_are_replaced(run, tmp_path):
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    (out / "sub" / "adapter_model.safetensors").write_text("mine too")
    run_export(run, out, checkpoint="epoch_200")
    run_export(run, out)
    assert read_adapter(out).card["epoch"] == 400
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "sub" / "adapter_model.safetensors").read_text() == "mine too"
    run_export(run, out, format="diffusers")
    run_export(run, out, format="comfyui")
    assert names(out) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
        "my jazz.safetensors",
        "notes.txt",
        "pytorch_lora_weights.safetensors",
        "sub",
    ]


@pytest.mark.parametrize(
    "format, name",
    [
        ("peft", "adapter_config.json"),
        ("peft", "adapter_model.safetensors"),
        ("peft", "README.md"),
        ("peft", "card.json"),
        ("upstream", "adapter_model.safetensors"),
        ("diffusers", "pytorch_lora_weights.safetensors"),
        ("comfyui", "my jazz.safetensors"),
        ("merged", "config.json"),
        ("merged", "diffusion_pytorch_model.safetensors"),
    ],
)
@pytest.mark.parametrize("kind", ["text", "tensors", "folder", "link"])
def test_a_file_of_someone_else_is_never_replaced(format, name, kind, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    match kind:
        case "text":
            (out / name).write_text('{"files": {}}')
        case "tensors":
            save_file({"a": torch.zeros(2)}, out / name, metadata={"format": "pt"})
        case "folder":
            (out / name).mkdir()
        case "link":
            (tmp_path / "elsewhere").write_text("precious")
            os.symlink(tmp_path / "elsewhere", out / name)
    before = snapshot(tmp_path)
    with pytest.raises(AdapterError) as caught:
        run_export(run, out, format=format)
    assert name in str(caught.value) and "another folder" in caught.value.hint
    assert snapshot(tmp_path) == before
    assert names(out) == [name]


def test_a_file_of_ours_that_was_changed_is_someone_elses(run, tmp_path):
    out = tmp_path / "out"
    run_export(run, out)
    (out / "README.md").write_text("my own words")
    with pytest.raises(AdapterError, match="README.md"):
        run_export(run, out)
    assert (out / "README.md").read_text() == "my own words"


def test_a_folder_never_holds_two_exports_at_once(run, tmp_path):
    out = tmp_path / "out"
    run_export(run, out)
    run_export(run, out, checkpoint="epoch_200", bin=True)  # PEFT would prefer old safetensors
    assert names(out) == ["README.md", "adapter_config.json", "adapter_model.bin", "card.json"]
    assert furthest(mounted_velocity(out), mounted_velocity(run / "checkpoints/epoch_200")) == 0
    assert read_adapter(out).card["epoch"] == 200
    run_export(run, out, format="merged")
    assert "adapter_model.bin" not in names(out)
    run_export(run, out)
    assert not any("diffusion" in name for name in names(out))


def test_a_record_that_lists_others_paths_deletes_nothing(run, tmp_path):
    out = tmp_path / "out"
    run_export(run, out)
    (tmp_path / "victim").write_text("precious")
    (out / "mine").write_text("precious")
    record = json.loads((out / "card.json").read_text())
    record["files"] |= {"../victim": "0", str(tmp_path / "victim"): "0", "mine": "0", "..": "0"}
    (out / "card.json").write_text(json.dumps(record))
    run_export(run, out)
    assert (tmp_path / "victim").exists() and (out / "mine").exists()


def test_an_output_that_cannot_be_a_folder(run, tmp_path):
    (tmp_path / "file").write_text("x")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises((AdapterError, RunError)) as caught:
            run_export(run, output)
        assert str(tmp_path / "file") in str(caught.value)
    assert (tmp_path / "file").read_text() == "x"


def test_a_failed_export_leaves_no_trace(run, tmp_path, monkeypatch):
    run_export(run, tmp_path / "out")
    before = snapshot(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("acestep.adapters.layouts.write_text", full)
    for output in (tmp_path / "out", tmp_path / "new"):
        with pytest.raises(RunError, match="No space left"):
            run_export(run, output)
    assert snapshot(tmp_path) == before
    assert names(tmp_path) == ["out"]


def test_a_full_disk_while_merging(run, tmp_path):
    """The safetensors library's own error; a limit on file sizes stands for the disk."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from acestep.config import ExportConfig; from acestep.export import export\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "run, out = map(Path, sys.argv[1:])\n"
        "list(export(ExportConfig(run=run, output=out, format='merged')))\n"
    )
    command = [sys.executable, "-c", code, str(run), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "RunError: cannot write to" in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_headers_carry_the_card(run, tmp_path):
    for format in ("peft", "diffusers", "comfyui", "upstream"):
        path = Path(run_export(run, tmp_path / format, format=format)[-1].path)
        assert read_adapter(path).card["dataset"] == {"tag": "mytag"}
        file = path if path.is_file() else path / "adapter_model.safetensors"
        with safe_open(file, framework="pt") as stored:
            assert json.loads(stored.metadata()["acestep_card"])["base_model"] == "tiny"


@pytest.mark.parametrize("format", ["peft", "diffusers", "comfyui", "upstream"])
def test_what_is_exported_names_no_place_on_this_machine(format, tmp_path):
    run = tmp_path / "secret_place" / "run"
    list(export(ExportConfig(run=GOLDEN / "adapters/upstream_peft_attn_r4_a8", output=run)))
    card = json.loads((run / "card.json").read_text())
    card["card"] |= {
        "base_path": "/data/secret_place/model",
        "dataset": {"path": "/secret_place/d.json"},
    }
    (run / "card.json").write_text(json.dumps(card))
    list(export(ExportConfig(run=run, output=tmp_path / "out", format=format)))
    assert all(b"secret_place" not in file.read_bytes() for file in (tmp_path / "out").iterdir())
