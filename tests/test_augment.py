"""Variants: what is made, what stays, and that none of them tells what is held out."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sound_files import tone

from acestep import augment as verb
from acestep.config import AugmentConfig, PreprocessConfig, ScanConfig
from acestep.data.audio import RATE, inspect_audio, read_audio, write_audio
from acestep.data.song import load_dataset, save_dataset
from acestep.data.tensors import load_samples, read_manifest
from acestep.data.variants import read_variant
from acestep.errors import ConfigError, DatasetError, ModelError
from acestep.events import Finished, Notice, Saved, Skipped
from acestep.knobs import outside_recommended
from acestep.preprocess import preprocess
from acestep.scan import scan
from acestep.training.clips import make_clips, split_clips

TINY = str(Path(__file__).parent / "golden/upstream_tiny/acestep-v15-turbo")
MODULE = sys.modules["acestep.augment"]  # acestep.augment itself is the verb
SONGS = [
    {"audio_path": "a.wav", "caption": "piano.", "bpm": 90, "keyscale": "A minor", "id": "a"},
    {"audio_path": "b.flac", "caption": "guitar", "lyrics": "[Verse]\nla la", "language": "en"},
]


def make_dataset(folder, samples=SONGS, seconds=2.0):
    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples):
        file = folder / sample["audio_path"]
        if not file.exists():
            write_audio(file, tone(seconds + 0.1 * number, pitch=200.0 + 37 * number), RATE)
    path = folder / "dataset.json"
    path.write_text(json.dumps({"dataset_name": "d", "activation_tag": "t4g", "samples": samples}))
    return path


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "songs")


def run(dataset, **knobs):
    return list(verb(AugmentConfig(**{"dataset": dataset, "model": TINY, **knobs})))


def signals(dataset, number=1, **knobs):
    """Signal variants alone: no model at all."""
    pytest.importorskip("python_stretch")
    return run(dataset, variants=0, signal=number, **knobs)


def variants(dataset):
    return [song for song in load_dataset(dataset).songs if read_variant(song) is not None]


def facts(events):
    (finished,) = [event for event in events if isinstance(event, Finished)]
    return finished.facts


def snapshot(folder):
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# What is made


def test_a_repaint_changes_its_section_and_nothing_else(dataset):
    events = run(dataset)
    assert facts(events) == {"made": 2, "there_before": 0, "skipped": 0}
    loaded = load_dataset(dataset)
    for song, caption in zip(variants(dataset), ("piano", "guitar"), strict=True):
        variant = read_variant(song)
        origin = loaded.find(variant.of)
        assert song.caption == f"{caption}, slight variation in style"
        assert (song.lyrics, song.bpm, song.keyscale) == (
            origin.lyrics,
            origin.bpm,
            origin.keyscale,
        )
        assert variant.how == "repaint" and variant.speed == 1.0
        assert "made anew as" in variant.changed and song.caption in variant.changed
        before, after = read_audio(loaded.resolve(origin)), read_audio(loaded.resolve(song))
        assert before.shape == after.shape
        differs = np.flatnonzero((before != after).any(axis=0)) / RATE
        begin, end = (float(word) for word in variant.changed.split(" s ")[0].split(" to "))
        assert begin - 0.01 <= differs.min() and differs.max() < end + 0.01
        assert len(differs) > 0.9 * (end - begin) * RATE
        seconds = before.shape[1] / RATE
        assert end - begin == pytest.approx(0.3 * seconds, abs=0.05)
        assert 0.1 * seconds < begin and end < 0.9 * seconds
        notice = next(e for e in events if isinstance(e, Notice) and e.about == song.filename)
        assert notice.message == variant.changed


def test_the_songs_themselves_are_never_touched(dataset):
    before, files = load_dataset(dataset), snapshot(dataset.parent)
    run(dataset, signal=1)
    after = load_dataset(dataset)
    assert after.songs[:2] == before.songs and len(after.songs) == 6
    now = snapshot(dataset.parent)
    assert all(now[name] == files[name] for name in map(Path, ("a.wav", "b.flac")))


def test_several_variants_take_turns_with_the_words(dataset):
    run(dataset, variants=3, change=["softer", "louder"])
    captions = [song.caption for song in variants(dataset) if read_variant(song).of == "a"]
    assert captions == ["piano, softer", "piano, louder", "piano, softer"]
    sections = {read_variant(song).changed.split(" made")[0] for song in variants(dataset)}
    assert len(sections) >= 4


def test_signal_variants_say_pitch_tempo_and_level_and_labels_follow(dataset):
    signals(dataset, pitch=300, tempo=20, gain=6)
    loaded = load_dataset(dataset)
    song = next(song for song in variants(dataset) if read_variant(song).of == "a")
    variant, audio = read_variant(song), read_audio(loaded.resolve(song))
    assert 2.0 / song.duration == pytest.approx(variant.speed, rel=1e-3)
    assert 0.2 / 3 <= abs(variant.speed - 1) <= 0.2
    assert song.bpm == round(90 * variant.speed) and f"90 BPM are {song.bpm}" in variant.changed
    cents = float(variant.changed.split(" cents")[0])
    middle = audio[0, RATE // 4 : -RATE // 4] * np.hanning(audio.shape[1] - RATE // 2)
    heard = np.abs(np.fft.rfft(middle, 2**20)).argmax() * RATE / 2**20
    assert 1200 * np.log2(heard / 200.0) == pytest.approx(cents, abs=1)
    assert 100 <= abs(cents) <= 300 and song.keyscale != "A minor" and " is " in variant.changed
    level = 20 * np.log10(np.abs(audio).max() / 0.4)
    assert f"{level:+.0f}"[0] in variant.changed.rpartition(", ")[2] and "dB" in variant.changed
    assert song.caption == "piano."


def test_small_changes_leave_key_and_full_scale_alone(tmp_path):
    dataset = make_dataset(tmp_path / "loud", SONGS[:1])
    write_audio(tmp_path / "loud" / "a.wav", tone(1.0) / 0.4 * 0.99, RATE)
    signals(dataset, 8)
    for song in variants(dataset):
        variant = read_variant(song)
        assert song.keyscale == "A minor" and 87 <= song.bpm <= 93
        cents = float(variant.changed.split(" cents")[0])
        assert 10 <= abs(cents) <= 30 and 0.01 <= abs(variant.speed - 1) <= 0.03
        assert "dB" not in variant.changed or ", -" in variant.changed.rpartition("BPM")[2]
    assert len({read_variant(song).changed for song in variants(dataset)}) == 8


def test_gain_alone_needs_no_package(dataset, monkeypatch):
    monkeypatch.setattr(MODULE, "load_stretch", lambda: pytest.fail("not needed"))
    run(dataset, variants=0, signal=1, pitch=0, tempo=0, output=dataset.parent.parent / "made")
    loaded = load_dataset(dataset)
    for song in variants(dataset):
        variant = read_variant(song)
        gain = float(variant.changed.removesuffix(" dB"))
        origin = read_audio(loaded.resolve(loaded.find(variant.of)))
        made = read_audio(loaded.resolve(song))
        np.testing.assert_allclose(made, origin * 10 ** (gain / 20), atol=1e-6)
        assert loaded.resolve(song).parent.name == "made"


def test_only_what_training_uses_is_made_anew(dataset):
    run(dataset, max_seconds=1.0)
    loaded = load_dataset(dataset)
    for song in variants(dataset):
        assert float(read_variant(song).changed.split(" to ")[1].split()[0]) <= 1.0
        origin = loaded.find(read_variant(song).of)
        assert song.duration == inspect_audio(loaded.resolve(origin)).duration


# Runs


def test_the_same_seed_makes_the_same_and_another_makes_others(tmp_path):
    made = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        dataset = make_dataset(tmp_path / name)
        run(dataset, signal=1, seed=seed)
        made.append([song.id for song in variants(dataset)])  # digests of the audio
    assert made[0] == made[1] and not set(made[0]) & set(made[2])


def test_a_second_run_changes_nothing_and_more_variants_only_add(dataset):
    run(dataset, signal=1)
    before = snapshot(dataset.parent)
    events = run(dataset, signal=1)
    assert facts(events) == {"made": 0, "there_before": 4, "skipped": 0}
    assert not any(isinstance(event, Saved) for event in events)
    assert snapshot(dataset.parent) == before
    assert facts(run(dataset, variants=2, signal=1))["made"] == 2
    after = snapshot(dataset.parent)
    assert all(after[name] == before[name] for name in before if name.suffix == ".flac")


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    stopped, whole = make_dataset(tmp_path / "stopped"), make_dataset(tmp_path / "whole")
    events = verb(AugmentConfig(dataset=stopped, model=TINY))
    next(event for event in events if isinstance(event, Saved))
    events.close()  # as Ctrl-C does
    assert len(variants(stopped)) == 1
    assert facts(run(stopped)) == {"made": 1, "there_before": 1, "skipped": 0}
    run(whole)
    assert [vars(song) for song in variants(stopped)] == [
        {**vars(song), "origin": other.origin}
        for song, other in zip(variants(whole), variants(stopped), strict=True)
    ]
    # A process that was killed leaves files that the dataset does not name
    killed = load_dataset(stopped)
    killed.songs = killed.songs[:2]
    save_dataset(killed, stopped)
    monkeypatch.setattr(MODULE, "repaint", lambda *_: pytest.fail("it was there"))
    assert facts(run(stopped))["made"] == 2
    assert [song.id for song in variants(stopped)] == [song.id for song in variants(whole)]


def test_a_variant_of_a_song_that_changed_is_made_anew_in_its_place(dataset):
    signals(dataset)
    loaded = load_dataset(dataset)
    old = loaded.resolve(loaded.songs[2])
    loaded.songs[0].bpm = 120
    loaded.songs[3].caption = "my own words"
    loaded.songs[1].caption = "harp"
    save_dataset(loaded, dataset)
    events = signals(dataset)
    assert facts(events)["made"] == 1
    (notice,) = [e for e in events if isinstance(e, Notice) and e.level == "warning"]
    assert "edited by hand" in notice.message
    now = load_dataset(dataset)
    assert len(now.songs) == 4 and not old.exists() and now.resolve(now.songs[2]).exists()
    assert 110 < now.songs[2].bpm < 130 and now.songs[3].caption == "my own words"


def test_what_was_edited_while_it_ran_is_kept(dataset):
    events = verb(AugmentConfig(dataset=dataset, model=TINY))
    next(event for event in events if isinstance(event, Saved))
    edited = load_dataset(dataset)
    edited.songs[0].give("caption", "meanwhile", "person")
    save_dataset(edited, dataset)
    list(events)
    now = load_dataset(dataset)
    assert now.songs[0].caption == "meanwhile" and len(now.songs) == 4


def test_one_bad_song_does_not_stop_the_others(tmp_path):
    bad = [
        {"audio_path": "gone.wav", "caption": "x"},
        {"audio_path": "empty.wav", "caption": "x"},
        {"audio_path": "silent.wav", "caption": "x"},
        {"audio_path": "instant.wav", "caption": "x"},
        {"audio_path": "noise.mp3", "caption": "x"},
        {"audio_path": "c.wav", "caption": " "},
        {"audio_path": "\ud800.wav", "caption": "x"},
    ]
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "empty.wav").write_bytes(b"")
    (folder / "noise.mp3").write_bytes(os.urandom(3000))
    write_audio(folder / "silent.wav", np.zeros((2, RATE)), RATE)
    write_audio(folder / "instant.wav", tone(1.0)[:, :100], RATE)
    for name in ("gone.wav", "\ud800.wav"):
        assert not os.path.exists(folder / name)
    dataset = make_dataset(folder, [*SONGS])
    values = json.loads(dataset.read_text())
    dataset.write_text(json.dumps({**values, "samples": bad + values["samples"]}))
    write_audio(folder / "c.wav", tone(1.0), RATE)
    events = run(dataset)
    skipped = [event for event in events if isinstance(event, Skipped)]
    assert len(skipped) == 7 and all(event.reason for event in skipped)
    assert facts(events) == {"made": 2, "there_before": 0, "skipped": 7}
    assert sorted(file.name[:2] for file in (folder / "variants").iterdir()) == ["a_", "b_"]


def test_no_song_at_all_is_an_error(tmp_path):
    for samples in ([], [{"audio_path": "gone.wav", "caption": "x"}]):
        path = tmp_path / "dataset.json"
        path.write_text(json.dumps({"dataset_name": "d", "samples": samples}))
        with pytest.raises(DatasetError, match="no song"):
            run(path)


def test_out_of_memory_says_so_and_keeps_what_was_made(dataset, monkeypatch):
    calls = []

    def full(parts, audio, *_):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return audio

    monkeypatch.setattr(MODULE, "repaint", full)
    with pytest.raises(ModelError, match="out of memory") as caught:
        run(dataset)
    assert "--max-seconds" in caught.value.hint and len(variants(dataset)) == 1


def test_a_missing_package_is_said_before_anything_is_made(dataset, monkeypatch):
    def missing():
        raise ConfigError(["--signal: python-stretch is missing"])

    monkeypatch.setattr(MODULE, "load_stretch", missing)
    before = snapshot(dataset.parent)
    with pytest.raises(ConfigError, match="python-stretch"):
        run(dataset, signal=1)
    assert snapshot(dataset.parent) == before


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"variants": 0}, "nothing to make"),
        ({"signal": 1, "pitch": 0, "tempo": 0, "gain": 0}, "are all 0"),
        ({"section": 0}, "--section"),
        ({"section": 1}, "--section"),
        ({"tempo": -3}, "--tempo"),
        ({"variants": -1}, "--variants"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs, word):
    with pytest.raises(ConfigError, match=word):
        AugmentConfig(dataset="d.json", **knobs)


# What follows


def test_signal_alone_is_nothing_to_warn_of():
    assert outside_recommended(AugmentConfig(dataset="d.json", variants=0, signal=2)) == []


def test_variants_are_known_again_when_they_are_scanned(dataset):
    signals(dataset)
    folder = dataset.parent
    (folder / "variants").rename(folder / "moved")
    before = [read_variant(song) for song in variants(dataset)]
    list(scan(ScanConfig(songs=folder, output=dataset)))
    after = {read_variant(song).made_from: song for song in variants(dataset)}
    assert after.keys() == {variant.made_from for variant in before}
    assert all(song.audio_path.startswith("moved/") for song in after.values())
    assert facts(signals(dataset)) == {"made": 0, "there_before": 2, "skipped": 0}


@pytest.mark.parametrize(("songs", "how"), [(3, "only 3 songs"), (10, "1 of 10 songs")])
def test_no_music_of_a_held_out_song_is_trained_on(tmp_path, songs, how):
    samples = [{"audio_path": f"{n}.wav", "caption": "x"} for n in range(songs)]
    dataset = make_dataset(tmp_path / "songs", samples, seconds=1.0 if songs < 10 else 0.2)
    number = 2 if songs < 10 else 1
    signals(dataset, number, tempo=12)
    tensors = tmp_path / "tensors"
    config = {"dataset": dataset, "output": tensors, "model": TINY, "segment_seconds": 0.5}
    list(preprocess(PreprocessConfig(**config)))
    manifest = read_manifest(tensors)
    originals = {song.id for song in load_dataset(dataset).songs[:songs]}
    clips = make_clips(load_samples(tensors, manifest), torch.device("cpu"), torch.float32)
    assert {clip.root for clip in clips} == originals
    assert len({clip.song for clip in clips}) == (1 + number) * songs
    split = split_clips(clips, 0.1, 42)
    assert how in split.how and split.held_out
    for held in split.held_out:
        assert held.song in originals
        first, last = held.times(held.frames)
        for clip in split.train:
            begin, end = clip.times(clip.frames)
            assert clip.root != held.root or end <= first + 1e-6 or begin >= last - 1e-6
    assert songs < 10 or held.root not in {clip.root for clip in split.train}


def test_a_variant_that_is_marked_later_is_not_encoded_again(tmp_path):
    dataset = make_dataset(tmp_path / "songs")
    config = PreprocessConfig(dataset=dataset, output=tmp_path / "tensors", model=TINY)
    list(preprocess(config))
    plain = read_manifest(tmp_path / "tensors")
    loaded = load_dataset(dataset)
    loaded.songs[1].extra["variant"] = {"of": "a", "speed": 1.0}
    save_dataset(loaded, dataset)
    done = list(preprocess(config))[-1]
    assert (done.facts["audio_encoded"], done.facts["texts_encoded"]) == (0, 0)
    marked = read_manifest(tmp_path / "tensors")
    assert marked.fingerprint != plain.fingerprint
    assert [entry.get("variant") for entry in marked.samples].count({"of": "a", "speed": 1.0}) == 1


def test_the_small_model_that_ships_makes_variants(tmp_path):
    dataset = make_dataset(tmp_path / "songs", SONGS[:1])
    events = run(dataset, model=None)
    assert events[0].facts["model"] == "mini" and facts(events)["made"] == 1
    (song,) = variants(dataset)
    audio = read_audio(dataset.parent / song.audio_path)
    assert np.isfinite(audio).all() and 0.05 < np.abs(audio).max() <= 1
