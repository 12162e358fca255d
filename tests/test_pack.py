"""Pack: the same training from shards, to the bit; nothing half-made, nothing of others lost."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_data import tiny_tensors

from acestep.advise import advise
from acestep.config import AdviseConfig, PackConfig, TrainConfig
from acestep.data import tensors as tensors_module
from acestep.data.tensors import load_samples, read_manifest
from acestep.errors import ConfigError, TensorError
from acestep.events import Finished, Step, Text
from acestep.pack import pack
from acestep.train import train
from acestep.training.clips import make_clips
from acestep.training.material import open_material

LENGTHS = (24, 30, 17, 24, 51)


def run(folder, output, **knobs):
    """Pack, and return what the verb says at the end."""
    *_, last = pack(PackConfig(tensors=folder, output=output, **knobs))
    assert isinstance(last, Finished)
    return last.facts


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def state(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    return tiny_tensors(tmp_path_factory.mktemp("pack") / "tensors", LENGTHS)


@pytest.fixture(scope="module")
def packed(loose):
    folder = loose.parent / "packed it's 🎷"
    assert run(loose, folder, shard_size="8kB")["shards"] >= 3
    return folder


def trained(tensors, output, **knobs):
    """The losses of a short run and the adapter's bytes."""
    config = TrainConfig(
        tensors=tensors, output=output, rank=4, epochs=2, device="cpu", batch_size=2, **knobs
    )
    losses = [event.loss for event in train(config) if isinstance(event, Step)]
    return losses, (output / "checkpoints/epoch_2/adapter_model.safetensors").read_bytes()


def test_training_is_the_same_to_the_bit(loose, packed, tmp_path, monkeypatch):
    wanted = trained(loose, tmp_path / "loose")
    assert trained(packed, tmp_path / "packed") == wanted
    monkeypatch.setattr(tensors_module, "RESIDENT_SHARE", 0)  # as if memory were too small
    assert trained(packed, tmp_path / "mapped") == wanted
    assert trained(loose, tmp_path / "loose and mapped") == wanted


def test_a_run_goes_on_from_a_packed_folder(loose, packed, tmp_path):
    wanted = trained(loose, tmp_path / "whole")[1]
    config = TrainConfig(
        tensors=loose, output=tmp_path / "run", rank=4, epochs=2, device="cpu", batch_size=2
    )
    for event in train(config):
        if isinstance(event, Step):
            (tmp_path / "run/STOP").touch()
    for _ in train(TrainConfig(tensors=packed, output=tmp_path / "run", resume=True)):
        pass
    file = tmp_path / "run/checkpoints/epoch_2/adapter_model.safetensors"
    assert file.read_bytes() == wanted
    sides = [open_material(tmp_path / "run", tensors=folder).split for folder in (loose, packed)]
    for one, other in zip(*(side.train + side.held_out for side in sides), strict=True):
        assert torch.equal(one.latents, other.latents) and one.labels == other.labels


def test_advice_is_the_same(loose, packed):
    def said(folder):
        config = AdviseConfig(source=folder, device="cpu", probe=False)
        text = [event.text for event in advise(config) if isinstance(event, Text)]
        return "\n".join(text).replace(shlex.quote(str(folder)), "")

    assert said(packed) == said(loose)
    assert "rank" in said(packed)


def test_unpacked_files_are_the_packed_ones_to_the_bit(loose, packed, tmp_path):
    run(packed, tmp_path / "back", unpack=True)
    assert content(tmp_path / "back") == content(loose)
    run(packed, tmp_path / "again", shard_size="1GB")  # from shards into other shards
    run(tmp_path / "again", tmp_path / "back again", unpack=True)
    assert content(tmp_path / "back again") == content(loose)


def test_packing_again_writes_nothing_and_one_change_writes_one_shard(tmp_path):
    loose = tiny_tensors(tmp_path / "tensors", LENGTHS)
    packed = tmp_path / "packed"
    first = run(loose, packed, shard_size="8kB")
    before = state(packed)
    assert run(loose, packed, shard_size="8kB") == first | {"written": 0}
    assert state(packed) == before
    last = sorted(loose.glob("sample_*"))[-1]
    os.utime(last, ns=(1, 1))
    assert run(loose, packed, shard_size="8kB")["written"] == 1
    assert run(loose, packed, shard_size="1GB")["shards"] == 1  # the other shards are gone
    assert len(list(packed.glob("shard_*"))) == 1
    names = [sample.name for sample in load_samples(packed, read_manifest(packed))]
    assert names == [f"sample_{number}" for number in range(len(LENGTHS))]


def test_damage_is_found_and_mended(loose, tmp_path):
    packed = tmp_path / "packed"
    run(loose, packed, shard_size="8kB")
    assert run(packed, "-", verify=True)["damaged"] == 0
    shard = packed / "shard_00001.safetensors"
    whole = shard.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:100], b""):
        shard.write_bytes(damaged)
        with pytest.raises(TensorError, match=r"of 5 samples are damaged(.|\n)*shard_00001"):
            run(packed, "-", verify=True)
        with pytest.raises(TensorError, match="shard_00001"):
            load_samples(packed, read_manifest(packed))
        assert run(loose, packed, shard_size="8kB")["written"] == 1
        assert shard.read_bytes() == whole
    (packed / "index.json").unlink()
    with pytest.raises(TensorError):
        load_samples(packed, read_manifest(packed))


def test_a_killed_packing_is_taken_up_again(tmp_path):
    loose = tiny_tensors(tmp_path / "tensors", (400,) * 40)
    packed, whole = tmp_path / "packed", tmp_path / "whole"
    code = (
        "import os, signal, sys\nfrom acestep import pack, PackConfig\n"
        "for event in pack(PackConfig(tensors=sys.argv[1], output=sys.argv[2], "
        "shard_size='200kB')):\n"
        "    if type(event).__name__ == 'Saved': os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, loose, packed], timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert not (packed / "manifest.json").exists()
    with pytest.raises(TensorError, match="acestep pack has not finished|has not finished"):
        read_manifest(packed)
    made = run(loose, packed, shard_size="200kB")
    assert 0 < made["written"] < made["shards"]
    run(loose, whole, shard_size="200kB")
    assert content(packed) == content(whole)


def test_what_others_wrote_stays(loose, tmp_path):
    for name, text in (("index.json", "{}"), ("manifest.json", "{}")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(TensorError, match=name):
            run(loose, folder)
        assert content(folder) == {name: b"{}"}
    (tmp_path / "shard_00000.safetensors").write_bytes(b"theirs")
    with pytest.raises(TensorError, match="shard_00000"):
        run(loose, tmp_path)
    assert (tmp_path / "shard_00000.safetensors").read_bytes() == b"theirs"
    for target in (loose, loose / "../tensors"):
        with pytest.raises(TensorError, match="is to be packed"):
            run(loose, target)
    other = tiny_tensors(tmp_path / "other", (8,))
    with pytest.raises(TensorError, match="not packed"):
        run(loose, other)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(TensorError, match="is a file"):
        run(loose, file)
    assert file.read_bytes() == b"x"


def test_what_cannot_be_packed(tmp_path):
    with pytest.raises(TensorError, match="not a folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    torch.save({"target_latents": torch.zeros(4, 8)}, tmp_path / "theirs.pt")
    with pytest.raises(TensorError, match="another program"):
        run(tmp_path, tmp_path / "out")
    loose = tiny_tensors(tmp_path / "tensors", (8, 9))
    with pytest.raises(TensorError, match="is not packed"):
        run(loose, tmp_path / "out", verify=True)
    text = json.loads((loose / "manifest.json").read_text(encoding="utf-8"))
    text["samples"][1]["file"] = "../theirs.pt"
    (loose / "manifest.json").write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(TensorError, match="outside its folder"):
        run(loose, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()
    (loose / "sample_0.pt").unlink()
    with pytest.raises(TensorError, match=r"sample_0\.pt is missing"):
        run(loose, tmp_path / "out")
    for size in ("0MB", "12", "big", "-1GB", ""):
        with pytest.raises(ConfigError, match="shard-size"):
            PackConfig(tensors=loose, shard_size=size)
    with pytest.raises(ConfigError, match="one of the two"):
        PackConfig(tensors=loose, unpack=True, verify=True)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="counts pages as Linux does")
def test_samples_that_stay_on_disk_are_read_when_they_are_used(tmp_path):
    loose = tiny_tensors(tmp_path / "tensors", (50_000,) * 4)  # 5 MB each, latents 1.6 MB
    packed = tmp_path / "packed"
    run(loose, packed)
    for folder in (loose, packed):
        samples = load_samples(folder, read_manifest(folder), mapped=True)
        opened = pages_read(folder)
        assert opened < 2e6
        assert samples[2].latents.sum().isfinite()
        assert 1.2e6 < pages_read(folder) - opened < 2.4e6


def pages_read(folder):
    """Bytes of a folder's files that this process has read through its mappings."""
    size, ours = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            ours = f"{folder}/" in line
        elif ours and line.startswith("Rss:"):
            size += int(line.split()[1]) * 1024
    return size


def test_a_mapped_clip_that_is_not_finite_is_named(tmp_path):
    loose = tiny_tensors(tmp_path / "tensors", (8, 9))
    record = torch.load(loose / "sample_1.pt", weights_only=True)
    record["context_latents"][3, 3] = float("nan")
    torch.save(record, loose / "sample_1.pt")
    device = torch.device("cpu")
    samples = load_samples(loose, read_manifest(loose), mapped=True)
    clips = make_clips(samples, device, torch.bfloat16)
    assert clips[0].to(device).context.dtype == torch.bfloat16
    with pytest.raises(TensorError, match="sample_1 holds NaN"):
        clips[1].to(device)
