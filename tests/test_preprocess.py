"""Preprocessing: only what changed, whatever happens, and within bounded memory."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from acestep.config import PackConfig, PreprocessConfig
from acestep.data.audio import RATE, write_audio
from acestep.data.tensors import load_record, load_samples, read_manifest, tensor_folder
from acestep.errors import ConfigError, DatasetError, ModelError, TensorError
from acestep.events import Finished, Notice, Progress, Skipped
from acestep.pack import pack
from acestep.preprocess import preprocess


def tone(seconds, frequency=220.0):
    time = np.arange(round(seconds * RATE)) / RATE
    left = 0.4 * np.sin(2 * np.pi * frequency * time) * np.exp(-(time % 0.5) * 6)
    return np.stack([left, 0.8 * left]).astype(np.float32)


def dataset_of(folder, samples, tag="mytag", **settings):
    folder.mkdir(exist_ok=True)
    path = folder / "dataset.json"
    values = {"dataset_name": "test", "activation_tag": tag, "tag_position": "prepend", **settings}
    path.write_text(json.dumps({**values, "samples": samples}))
    return path


@pytest.fixture
def dataset(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for name, seconds, frequency in (
        ("a.wav", 3.01, 220),
        ("b.flac", 2.5, 330),
        ("c.ogg", 2.0, 440),
    ):
        write_audio(songs / name, tone(seconds, frequency), RATE)
    return dataset_of(
        songs,
        [
            {
                "audio_path": "a.wav",
                "caption": "piano",
                "bpm": 120,
                "keyscale": "A minor",
                "timesignature": 4,
            },
            {
                "audio_path": "b.flac",
                "caption": "guitar",
                "lyrics": "[Verse]\nla la",
                "language": "en",
            },
            {"audio_path": "c.ogg", "caption": "bells", "instrumental": True},
        ],
    )


def run(dataset, output, **knobs):
    return list(preprocess(PreprocessConfig(dataset=dataset, output=output, device="cpu", **knobs)))


def finished(events):
    assert isinstance(events[-1], Finished)
    return events[-1].facts


def edit(dataset, index, **changes):
    values = json.loads(dataset.read_text())
    values["samples"][index].update(changes)
    dataset.write_text(json.dumps(values))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_as_the_guide_says(dataset, tmp_path):
    output = tmp_path / "tensors"
    facts = finished(run(dataset, output))
    assert facts["samples"] == facts["audio_encoded"] == facts["texts_encoded"] == 3
    manifest = read_manifest(output)
    assert manifest.model["name"] == "mini" and manifest.dataset["tag"] == "mytag"
    assert manifest.settings["seed"] == 42 and manifest.settings["precision"] == "float32"
    by_name = {sample.metadata["filename"]: sample for sample in load_samples(output, manifest)}
    sample = by_name["a.wav"]
    assert sample.latents.shape == (75, 64) and sample.context.shape == (75, 128)
    assert sample.metadata["duration"] == 3.0 and sample.metadata["bpm"] == 120
    assert sample.metadata["caption_text"].startswith("# Instruction\n")
    assert "mytag, piano" in sample.metadata["caption_text"]
    assert "- duration: 3 seconds" in sample.metadata["caption_text"]
    assert torch.equal(sample.context[:, 64:], torch.ones(75, 64))
    lyrics = by_name["b.flac"].metadata["lyrics_text"]
    assert lyrics == "# Languages\nen\n\n# Lyric\n[Verse]\nla la<|endoftext|>"
    files = sorted(path.name for path in output.iterdir())
    assert files == sorted([entry["file"] for entry in manifest.samples] + ["manifest.json"])
    assert all(name.startswith("sample_") for name in files[1:])


def test_a_second_run_encodes_nothing_and_changes_no_byte(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    before = contents(output)
    facts = finished(run(dataset, output))
    assert facts["audio_encoded"] == facts["texts_encoded"] == 0
    assert contents(output) == before


def test_a_changed_caption_encodes_the_text_of_that_song_alone(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    before = contents(output)
    edit(dataset, 0, caption="organ")
    facts = finished(run(dataset, output))
    assert facts["audio_encoded"] == 0 and facts["texts_encoded"] == 1
    after = contents(output)
    changed = {name for name in after if after[name] != before[name]} - {"manifest.json"}
    assert len(changed) == 1
    assert read_manifest(output).fingerprint != ""
    record = load_record(output / changed.pop())
    assert "mytag, organ" in record["metadata"]["caption_text"]


def test_a_changed_tag_or_audio_encodes_what_it_touches(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    values = json.loads(dataset.read_text())
    dataset.write_text(json.dumps(values | {"activation_tag": "other"}))
    assert finished(run(dataset, output))["texts_encoded"] == 3
    write_audio(dataset.parent / "a.wav", tone(2.2, 500), RATE)
    facts = finished(run(dataset, output))
    assert facts["audio_encoded"] == facts["texts_encoded"] == 1


def test_another_seed_or_model_encodes_everything_again(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    assert finished(run(dataset, output, seed=7))["audio_encoded"] == 3
    import shutil

    from acestep.model.base import find_model

    copy = tmp_path / "model"
    shutil.copytree(find_model("mini").path, copy)
    config = copy / "transformer" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"sliding_window": 64}))
    facts = finished(run(dataset, output, seed=7, model=str(copy)))
    assert facts["audio_encoded"] == facts["texts_encoded"] == 3


def test_an_interrupted_run_goes_on_where_it_was(dataset, tmp_path):
    output = tmp_path / "tensors"
    seen = 0
    for event in preprocess(PreprocessConfig(dataset=dataset, output=output, device="cpu")):
        seen += type(event).__name__ == "Progress"
        if seen == 3:  # two songs' audio is encoded
            break
    with pytest.raises(TensorError, match="has not finished"):
        read_manifest(output)
    facts = finished(run(dataset, output))
    assert facts["audio_encoded"] == 1 and facts["texts_encoded"] == 3
    whole = tmp_path / "whole"
    run(dataset, whole)
    ours, wanted = (load_samples(f, read_manifest(f)) for f in (output, whole))
    assert all(
        torch.equal(a.latents, b.latents) and torch.equal(a.condition, b.condition)
        for a, b in zip(ours, wanted, strict=True)
    )


def test_training_never_sees_a_folder_that_is_half_redone(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    edit(dataset, 0, caption="organ")
    events = preprocess(PreprocessConfig(dataset=dataset, output=output, device="cpu"))
    for event in events:
        if type(event).__name__ == "Progress":
            break
    events.close()
    with pytest.raises(TensorError, match="has not finished"):
        read_manifest(output)


def test_segments_have_their_own_duration_context_and_lyrics(dataset, tmp_path):
    edit(dataset, 0, lyrics="[Verse]\none\ntwo\nthree", language="en")
    output = tmp_path / "tensors"
    run(dataset, output, segment_seconds=1.0)
    samples = [
        s for s in load_samples(output, read_manifest(output)) if s.metadata["filename"] == "a.wav"
    ]
    assert [s.metadata["start"] for s in samples] == [0.0, 1.0, 2.0]
    assert all(s.latents.shape[0] == 25 and s.context.shape[0] == 25 for s in samples)
    assert all("- duration: 1 seconds" in s.metadata["caption_text"] for s in samples)
    assert [s.metadata["lyrics"] for s in samples] == [
        "[Verse]\none",
        "[Verse]\ntwo",
        "[Verse]\nthree",
    ]
    assert len({s.song for s in samples}) == 1


def test_long_songs_are_cut_and_it_is_said(dataset, tmp_path):
    output = tmp_path / "tensors"
    events = run(dataset, output, max_seconds=2.0)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any("first 2 s of 3 s" in message for message in notices)
    samples = load_samples(output, read_manifest(output))
    assert {sample.latents.shape[0] for sample in samples} == {50}
    assert all("- duration: 2 seconds" in sample.metadata["caption_text"] for sample in samples)


def test_bad_songs_are_skipped_by_name_and_the_rest_goes_on(dataset, tmp_path):
    values = json.loads(dataset.read_text())
    (dataset.parent / "broken.mp3").write_bytes(b"not audio")
    values["samples"] += [
        {"audio_path": "gone.wav", "caption": "x"},
        {"audio_path": "broken.mp3", "caption": "x"},
    ]
    dataset.write_text(json.dumps(values))
    events = run(dataset, tmp_path / "tensors")
    skipped = [event for event in events if isinstance(event, Skipped)]
    assert {
        name for event in skipped for name in ("gone.wav", "broken.mp3") if name in event.what
    } == {"gone.wav", "broken.mp3"}
    assert all(event.reason for event in skipped)
    facts = finished(events)
    assert facts["samples"] == 3 and facts["skipped"] == 2


def test_songs_without_words_are_skipped_unless_a_tag_speaks_for_them(dataset, tmp_path):
    edit(dataset, 1, caption="")
    assert finished(run(dataset, tmp_path / "tagged"))["samples"] == 3
    values = json.loads(dataset.read_text())
    dataset.write_text(json.dumps(values | {"activation_tag": ""}))
    events = run(dataset, tmp_path / "bare")
    skipped = [event for event in events if isinstance(event, Skipped)]
    assert len(skipped) == 1 and "caption" in skipped[0].reason and "b.flac" in skipped[0].what


def test_nothing_usable_is_an_error_and_leaves_what_was_there(dataset, tmp_path):
    output = tmp_path / "tensors"
    run(dataset, output)
    before = contents(output)
    bad = dataset_of(tmp_path / "bad", [{"audio_path": "nowhere.wav", "caption": "x"}])
    with pytest.raises(DatasetError, match="no song"):
        run(bad, output)
    assert contents(output) == before


def test_a_missing_model_is_said_before_anything_is_written(dataset, tmp_path):
    with pytest.raises(ModelError):
        run(dataset, tmp_path / "tensors", model=str(tmp_path / "nowhere"))
    assert not (tmp_path / "tensors").exists()


def test_an_id_cannot_lead_out_of_the_folder(dataset, tmp_path):
    edit(dataset, 0, id="../../escaped")
    with pytest.raises(DatasetError, match="escaped"):
        run(dataset, tmp_path / "deep" / "er" / "tensors")
    assert not list(tmp_path.rglob("*escaped*"))


def test_offload_gives_the_same_tensors(dataset, tmp_path):
    run(dataset, tmp_path / "a")
    run(dataset, tmp_path / "b", offload=True)
    pairs = zip(
        *(load_samples(f, read_manifest(f)) for f in (tmp_path / "a", tmp_path / "b")), strict=True
    )
    assert all(
        torch.equal(a.condition, b.condition) and torch.equal(a.context, b.context)
        for a, b in pairs
    )


def test_vae_and_text_encoder_are_never_in_memory_together(dataset, tmp_path, monkeypatch):
    import gc
    import weakref

    module = sys.modules["acestep.preprocess"]
    alive: dict[str, weakref.ref] = {}
    real_vae, real_text = module.load_vae, module.load_text_encoder

    def load_vae(*args):
        vae = real_vae(*args)
        alive["vae"] = weakref.ref(vae)
        return vae

    def load_text(*args):
        gc.collect()
        assert alive["vae"]() is None, "the VAE is still in memory"
        return real_text(*args)

    monkeypatch.setattr(module, "load_vae", load_vae)
    monkeypatch.setattr(module, "load_text_encoder", load_text)
    run(dataset, tmp_path / "tensors")
    assert "vae" in alive


def latents_of(folder):
    return [sample.latents for sample in load_samples(folder, read_manifest(folder))]


def test_processes_that_read_ahead_change_no_bit(dataset, tmp_path):
    """Skipped songs, segments and facts too are the same."""
    values = json.loads(dataset.read_text())
    (dataset.parent / "broken.mp3").write_bytes(b"not audio")
    values["samples"].insert(1, {"audio_path": "broken.mp3", "caption": "x"})
    dataset.write_text(json.dumps(values))
    here = run(dataset, tmp_path / "here", workers=0, segment_seconds=1.2)
    there = run(dataset, tmp_path / "there", workers=2, segment_seconds=1.2)
    skipped = [
        [event for event in events if isinstance(event, Skipped)] for events in (here, there)
    ]
    assert skipped[0] == skipped[1] != []
    assert finished(here) == finished(there)
    pairs = zip(latents_of(tmp_path / "here"), latents_of(tmp_path / "there"), strict=True)
    assert all(one.equal(other) for one, other in pairs)


def test_a_run_says_how_it_encodes(dataset, tmp_path):
    lines = [e.message for e in run(dataset, tmp_path / "t", workers=1) if isinstance(e, Notice)]
    for begin in ("autoencoder: channels last", "tiles at once: 1", "reading processes: 1 (as"):
        assert any(line.startswith(begin) for line in lines), lines
    again = [e.message for e in run(dataset, tmp_path / "t") if isinstance(e, Notice)]
    assert not any("autoencoder" in line for line in again)


def test_latents_in_bfloat16_are_close_and_made_anew_when_that_changes(dataset, tmp_path):
    run(dataset, tmp_path / "t")
    exact = latents_of(tmp_path / "t")
    facts = finished(run(dataset, tmp_path / "t", audio_precision="bfloat16"))
    assert facts["audio_encoded"] == 3
    near = latents_of(tmp_path / "t")
    assert read_manifest(tmp_path / "t").settings["audio_precision"] == "bfloat16"
    for one, other in zip(near, exact, strict=True):
        assert one.dtype == torch.float32
        assert 1e-5 < (one - other).norm() / other.norm() < 0.05
    assert finished(run(dataset, tmp_path / "t"))["audio_encoded"] == 3
    assert all(a.equal(b) for a, b in zip(latents_of(tmp_path / "t"), exact, strict=True))


def test_a_run_that_is_left_ends_its_readers(dataset, tmp_path, monkeypatch):
    module, kept = sys.modules["acestep.preprocess"], []
    real = module.ReadAhead

    def remembered(*args):
        kept.append(real(*args))
        return kept[-1]

    monkeypatch.setattr(module, "ReadAhead", remembered)
    config = PreprocessConfig(dataset=dataset, output=tmp_path / "t", device="cpu", workers=2)
    events = preprocess(config)
    for event in events:
        if isinstance(event, Progress):
            break
    assert kept[0]._processes._all
    events.close()
    assert kept[0]._processes._all == []


PEAK = """
import resource, sys
from pathlib import Path
from acestep.config import PreprocessConfig
from acestep.pack import pack
from acestep.preprocess import preprocess
config = PreprocessConfig(dataset=Path(sys.argv[1]), output=Path(sys.argv[2]), device="cpu",
                          max_seconds=1e6, tile_seconds=5)
for _ in preprocess(config):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_a_songs_length(tmp_path):
    peaks = []
    for minutes in (1 / 3, 5 / 3):
        folder = tmp_path / f"{minutes}"
        folder.mkdir()
        write_audio(folder / "a.flac", np.tile(tone(10), (1, round(6 * minutes))), RATE)
        dataset = dataset_of(folder, [{"audio_path": "a.flac", "caption": "long"}])
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(dataset), str(folder / "out")],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "2"},
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < 1.2 * peaks[0], peaks


def test_what_another_process_cut_is_told(tmp_path):
    from test_processes import acestep

    write_audio(tmp_path / "a.wav", tone(1), RATE)
    write_audio(tmp_path / "b.wav", tone(1, 330), RATE)
    long = "warm analogue strings " * 200
    samples = [{"audio_path": f"{name}.wav", "caption": long} for name in "ab"]
    data = dataset_of(tmp_path, samples)
    text = acestep(
        "preprocess", data, "-o", tmp_path / "t", "--device", "cpu", "--json", processes=2
    )
    notices = [json.loads(line) for line in text.splitlines() if '"notice"' in line]
    cut = [notice["about"] for notice in notices if "were cut" in notice["message"]]
    assert sorted(cut) == ["a.wav", "b.wav"]


def test_the_original_programs_folder_is_left_as_it_is(dataset, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"metadata": {}, "samples": [], "num_samples": 0}')
    before = contents(folder)
    with pytest.raises(TensorError, match="did not write") as caught:
        run(dataset, folder)
    assert "-o" in caught.value.hint and contents(folder) == before


def test_what_a_killed_run_left_is_tidied(dataset, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / ".tmp-abcdefgh.pt").write_bytes(b"half")
    run(dataset, tmp_path / "t")
    assert not [path for path in (tmp_path / "t").iterdir() if path.name.startswith(".tmp")]


def copy_of_mini(folder):
    """The small model as another one, by its fingerprint."""
    import shutil

    from acestep.model.base import find_model

    shutil.copytree(find_model("mini").path, folder)
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sliding_window": 64}))
    return folder


@pytest.mark.parametrize("finished_once", [True, False])
def test_a_folder_remembers_its_model(dataset, tmp_path, finished_once):
    output, model = tmp_path / "t", copy_of_mini(tmp_path / "model")
    run(dataset, output, model=str(model))
    if not finished_once:
        (output / "manifest.json").unlink()
    facts = finished(run(dataset, output))
    assert facts["audio_encoded"] == facts["texts_encoded"] == 0
    assert read_manifest(output).model["name"] == "model"
    before = contents(output)
    model.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="made with a base model that is not there") as caught:
        run(dataset, output)
    assert "--model" in caught.value.hint and contents(output) == before
    assert finished(run(dataset, output, model=str(tmp_path / "moved")))["audio_encoded"] == 0


# Several processes and machines


def many(folder, count=7):
    """A dataset of short songs, one of which cannot be read."""
    songs = folder / "songs"
    songs.mkdir()
    samples = []
    for number in range(count):
        write_audio(songs / f"{number}.wav", tone(0.4 + 0.1 * number, 220 + 20 * number), RATE)
        samples.append({"audio_path": f"{number}.wav", "caption": f"song {number}"})
    (songs / "broken.wav").write_bytes(b"no audio")
    return dataset_of(songs, [*samples, {"audio_path": "broken.wav", "caption": "broken"}])


def launch(dataset, output, *program):
    """Preprocess in two processes: how the one that started them ended, and what they said."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", *program, "preprocess", str(dataset), "-o"]
        + [str(output), "--device", "cpu", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    return done.returncode, done.stdout


DIES = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from acestep.cli import main
work = import_module("acestep.preprocess")
save_record = work.save_record
def once(file, record):
    save_record(file, record)
    Path(__file__).with_name("written").write_text(file.name)
    os.kill(os.getpid(), signal.SIGKILL)
if os.environ["RANK"] == "1":
    work.save_record = once
sys.exit(main())
"""


def test_two_processes_write_what_one_writes_also_after_one_was_killed(tmp_path):
    """The second process is killed as soon as it has written a sample."""
    dataset = many(tmp_path)
    together, alone = tmp_path / "together", tmp_path / "alone"
    (tmp_path / "dies.py").write_text(DIES)
    code, _ = launch(dataset, together, str(tmp_path / "dies.py"))
    assert code != 0 and (together / (tmp_path / "written").read_text()).exists()
    assert not (together / "manifest.json").exists()
    code, text = launch(dataset, together, "-m", "acestep")
    assert code == 0
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert events[-1]["facts"]["samples"] == 7 and events[-1]["facts"]["skipped"] == 1
    assert sum(event["event"] == "skipped" for event in events) == 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the two had
    try:
        run(dataset, alone)
    finally:
        torch.set_num_threads(threads)
    assert contents(together) == contents(alone)


def test_parts_that_machines_encode_by_themselves_are_the_whole(tmp_path):
    dataset = many(tmp_path, count=4)
    parts, alone = tmp_path / "parts", tmp_path / "alone"
    counts = [finished(run(dataset, parts, part=f"{n}/3"))["samples"] for n in (1, 2, 3)]
    assert counts == [2, 1, 1]
    assert not (parts / "manifest.json").exists()
    assert finished(run(dataset, parts))["audio_encoded"] == 0
    run(dataset, alone)
    assert contents(parts) == contents(alone)
    for wrong in ("0/3", "4/3", "3", "1/0", "x", "1/2/3", ""):
        with pytest.raises(ConfigError, match="--part"):
            PreprocessConfig(dataset=dataset, part=wrong)


def test_machines_share_a_folder_but_not_with_a_whole_run(tmp_path):
    dataset = many(tmp_path, count=2)
    with tensor_folder(tmp_path / "t", together=True):
        run(dataset, tmp_path / "t", part="1/2")
        with pytest.raises(TensorError, match="another process is writing"):
            run(dataset, tmp_path / "t")
    with (
        tensor_folder(tmp_path / "t"),
        pytest.raises(TensorError, match="another process is writing"),
    ):
        run(dataset, tmp_path / "t", part="2/2")


def test_a_packed_folder_is_as_up_to_date_as_the_one_it_was_made_from(tmp_path):
    dataset, packed = many(tmp_path, count=2), tmp_path / "packed"
    run(dataset, tmp_path / "t")
    list(pack(PackConfig(tensors=tmp_path / "t", output=packed)))
    before = contents(packed)
    assert finished(run(dataset, packed, dry_run=True))["stale"] == 0
    facts = finished(run(dataset, packed))
    assert facts["audio_encoded"] == facts["texts_encoded"] == 0 and contents(packed) == before
    edit(dataset, 0, caption="another")
    (row,) = (
        row
        for row in finished(run(dataset, packed, dry_run=True))["outlook"]
        if row["todo"] != "nothing"
    )
    assert row["todo"] == "text" and "caption changed" in row["why"]
    assert finished(run(dataset, packed))["texts_encoded"] == 1  # as a file beside the shards
    captions = [s.metadata["caption"] for s in load_samples(packed, read_manifest(packed))]
    assert sorted(captions) == ["mytag, another", "mytag, song 1"]
