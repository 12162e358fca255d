import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sound_files import FORMATS, cut, make_song, ten_hour_wav, tone

from acestep import events
from acestep.config import EditConfig, ScanConfig
from acestep.data.song import load_dataset, save_dataset
from acestep.edit import edit
from acestep.errors import DatasetError
from acestep.scan import scan


class World:
    """A folder of songs and a dataset beside it."""

    def __init__(self, root: Path) -> None:
        self.songs, self.output = root / "songs", root / "dataset.json"
        self.songs.mkdir()
        self.said: list[events.Event] = []

    def song(self, name: str, pitch: float = 220.0, seconds: float = 0.5) -> Path:
        return make_song(self.songs / name, seconds, pitch=pitch)

    def write(self, name: str, text: str) -> None:
        (self.songs / name).write_text(text, encoding="utf-8")

    def scan(self, **knobs) -> list[dict]:
        self.said = list(scan(ScanConfig(songs=self.songs, output=self.output, **knobs)))
        return self.samples()

    def edit(self, song: str, **knobs) -> None:
        list(edit(EditConfig(dataset=self.output, song=song, **knobs)))

    def value(self) -> dict:
        return json.loads(self.output.read_text(encoding="utf-8"))

    def samples(self) -> list[dict]:
        return self.value()["samples"]

    def heard(self, kind: type) -> list:
        return [event for event in self.said if isinstance(event, kind)]

    def notices(self) -> str:
        return "\n".join(f"{n.about}: {n.message}" for n in self.heard(events.Notice))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def paths(samples: list[dict]) -> list[str]:
    return [sample["audio_path"] for sample in samples]


# --- what is found --------------------------------------------------------------------------------


def test_all_formats_in_any_case_nested_and_in_a_stable_order(world):
    for number, suffix in enumerate(FORMATS):
        world.song(f"f{number}.{suffix}", 200 + 50 * number)
    world.song("A/z.WAV", 600)
    world.song("a/Z.Mp3", 650)
    for name in (".hidden.wav", "._f0.wav", ".folder/x.wav", "notes.txt", "cover.jpg"):
        (world.songs / name).parent.mkdir(exist_ok=True)
        (world.songs / name).write_bytes(b"not audio")
    samples = world.scan()
    names = ["A/z.WAV", "a/Z.Mp3", *(f"f{n}.{suffix}" for n, suffix in enumerate(FORMATS))]
    assert paths(samples) == [f"songs/{name}" for name in names]
    assert not world.heard(events.Skipped)
    for sample in samples:
        assert sample["duration"] == pytest.approx(0.5, abs=0.07)
        assert len(sample["id"]) == 16
    first = world.output.read_bytes()
    world.scan()
    assert world.output.read_bytes() == first


def test_the_events_tell_the_story(world):
    world.song("a.wav")
    world.song("b.wav", 330)
    world.write("bad.wav", "text")
    world.scan(tag="myjazz")
    kinds = [type(event).__name__ for event in world.said]
    assert kinds[0] == "Started" and kinds[-1] == "Finished"
    progress = [(event.done, event.total, event.what) for event in world.heard(events.Progress)]
    assert progress == [(0, 3, "a.wav"), (1, 3, "b.wav"), (2, 3, "bad.wav"), (3, 3, "")]
    assert world.heard(events.Saved) == [events.Saved("dataset", str(world.output))]
    facts = world.said[-1].facts
    assert facts == {"songs": 2, "seconds": 1.0, "skipped": 1, "captions": 0, "lyrics": 0}
    assert all(events.from_json(events.to_json(event)) == event for event in world.said)


def test_sidecars_tables_and_settings(world):
    world.song("a.wav")
    world.song("b.mp3", 330)
    world.write("a.txt", "[Verse 1]\nla la")
    world.write("a.caption.txt", "warm jazz")
    world.write(
        "a.json", '{"bpm": 90, "keyscale": "Bb Major", "timesignature": "4/4", "language": "en"}'
    )
    world.write("export.csv", "\ufeffFile;BPM;Key;Caption\nb.mp3;127,6;Am;cold jazz\n")
    a, b = world.scan(name="set", tag="myjazz", tag_position="append", all_instrumental=True)
    value = world.value()
    assert (value["dataset_name"], value["activation_tag"]) == ("set", "myjazz")
    assert value["tag_position"] == "append"
    wanted = {"caption": "warm jazz, myjazz", "lyrics": "[Verse 1]\nla la", "bpm": 90,
              "keyscale": "Bb major", "timesignature": 4, "language": "en",
              "instrumental": False}  # fmt: skip
    assert {key: a[key] for key in wanted} == wanted
    wanted = {"caption": "cold jazz, myjazz", "lyrics": "[Instrumental]", "bpm": 128,
              "keyscale": "A minor", "timesignature": None, "language": "unknown",
              "instrumental": True}  # fmt: skip
    assert {key: b[key] for key in wanted} == wanted
    assert set(a["sources"].values()) == {"sidecar"}


def test_without_lyrics_a_song_is_instrumental_only_when_told_so(world):
    world.song("a.wav")
    assert world.scan()[0]["instrumental"] is False
    assert world.scan(all_instrumental=True)[0]["instrumental"] is True
    world.write("a.txt", "la la")
    sample = world.scan(all_instrumental=True)[0]
    assert (sample["instrumental"], sample["lyrics"]) == (False, "la la")


def test_the_same_name_in_two_folders_stays_apart(world):
    for folder, pitch, words in (("one", 220, "first"), ("two", 330, "second")):
        world.song(f"{folder}/song.wav", pitch)
        world.write(f"{folder}/song.caption.txt", words)
    world.write("x.csv", "File,BPM\nsong.wav,90\ntwo/song.wav,80\n")
    one, two = world.scan()
    assert (one["caption"], two["caption"]) == ("first", "second")
    assert (one["bpm"], two["bpm"]) == (None, 80)
    assert "may be any of one/song.wav, two/song.wav" in world.notices()


def test_identical_audio_is_kept_twice_and_said(world):
    world.song("a.wav")
    shutil.copy(world.songs / "a.wav", world.songs / "b.wav")
    a, b = world.scan()
    assert b["id"] == a["id"] + "-2"
    assert "b.wav: it is the same audio as a.wav" in world.notices()
    world.song("0.wav", 220)  # sorts before them and has the same audio
    ids = {Path(sample["audio_path"]).name: sample["id"] for sample in world.scan()}
    assert ids == {"a.wav": a["id"], "b.wav": b["id"], "0.wav": a["id"] + "-3"}
    (world.songs / "a.wav").rename(world.songs / "z.wav")  # sorts behind them
    ids = {Path(sample["audio_path"]).name: sample["id"] for sample in world.scan()}
    assert ids == {"z.wav": a["id"], "b.wav": b["id"], "0.wav": a["id"] + "-3"}


def test_a_copy_in_another_folder_is_another_song(world, tmp_path):
    world.song("a.wav")
    world.scan()
    world.edit("1", caption="of the first")
    shutil.copytree(world.songs, tmp_path / "copies")
    world.songs = tmp_path / "copies"
    captions = {sample["audio_path"]: sample["caption"] for sample in world.scan()}
    assert captions == {"copies/a.wav": "", "songs/a.wav": "of the first"}


def test_links_are_followed_once_and_loops_are_safe(world, tmp_path):
    world.song("real/a.wav")
    make_song(tmp_path / "elsewhere/b.wav", 0.5, pitch=330)
    (world.songs / "loop").symlink_to(world.songs)
    (world.songs / "real/up").symlink_to("..")
    (world.songs / "again").symlink_to(world.songs / "real")
    (world.songs / "other").symlink_to(tmp_path / "elsewhere")
    (world.songs / "broken.wav").symlink_to(tmp_path / "none.wav")
    assert paths(world.scan()) == ["songs/other/b.wav", "songs/real/a.wav"]
    assert [event.what for event in world.heard(events.Skipped)] == ["broken.wav"]


def test_songs_outside_the_datasets_folder_have_absolute_paths(world, tmp_path):
    world.song("a.wav")
    world.output = tmp_path / "new/place/d.json"
    assert paths(world.scan()) == [str(world.songs / "a.wav")]


def test_the_dataset_may_lie_among_the_songs(world):
    world.song("dataset.wav")
    world.output = world.songs / "dataset.json"
    for _ in range(2):
        assert paths(world.scan()) == ["dataset.wav"]
        assert "dataset.json" not in world.notices()


# --- hostile folders ------------------------------------------------------------------------------


def test_each_bad_file_is_named_with_its_reason_and_the_rest_goes_on(world):
    good = world.song("good.wav")
    ten_hour_wav(world.songs / "ten hours.wav")
    shutil.copy(world.song("x.flac", 260), world.songs / "renamed.mp3")
    (world.songs / "x.flac").unlink()
    forms = [("hires.wav", 96_000, 2, "PCM_24"), ("phone.wav", 8_000, 1, "PCM_16")]
    for name, rate, channels, subtype in (*forms, ("surround.wav", 48_000, 6, "PCM_16")):
        sf.write(world.songs / name, tone(0.5, rate, channels).T, rate, subtype=subtype)
    usable = {"good.wav", "ten hours.wav", "renamed.mp3", "hires.wav", "phone.wav", "surround.wav"}
    for name in ("日本語の歌 🎷.wav", "ñ" * 110 + ".ogg"):
        world.song(name, 300 + len(name))
        usable.add(name)

    def wav(name, array):
        sf.write(world.songs / name, array, 48_000, subtype="FLOAT")

    world.write("lyrics.mp3", "these are words\n" * 99)
    (world.songs / "empty.wav").touch()
    (world.songs / "noise.ogg").write_bytes(np.random.default_rng(0).bytes(9_999))
    cut(good, world.songs / "cut.wav", 0.0003)
    wav("zero.wav", np.zeros((0, 2)))
    wav("one.wav", np.full((1, 2), 0.5))
    wav("silent.wav", np.zeros((48_000, 2)))
    wav("nan.wav", np.full((48_000, 2), np.nan))
    os.mkfifo(world.songs / "pipe.wav")
    bad = {"lyrics.mp3": "cannot be read", "empty.wav": "empty", "noise.ogg": "cannot be read",
           "cut.wav": "cannot be read", "zero.wav": "zero length", "one.wav": "too short",
           "silent.wav": "silent", "nan.wav": "NaN", "pipe.wav": "not a file"}  # fmt: skip
    samples = world.scan()
    assert {Path(path).name for path in paths(samples)} == usable
    durations = {Path(s["audio_path"]).name: s["duration"] for s in samples}
    assert durations["ten hours.wav"] == 1.0
    assert all(durations[name] == 0.5 for name in ("hires.wav", "phone.wav", "surround.wav"))
    skipped = {event.what: event for event in world.heard(events.Skipped)}
    assert set(skipped) == set(bad)
    for name, words in bad.items():
        assert words in skipped[name].reason and skipped[name].hint


def test_bad_sidecars_and_tables_do_no_harm(world):
    world.song("a.wav")
    world.song("b.wav", 330)
    (world.songs / "a.txt").write_bytes("süß".encode("latin-1"))
    world.write("a.json", '{"bpm": "fast", "caption": "warm",}')
    world.write("b.json", '["caption"]')
    (world.songs / "x.csv").write_bytes(b"\xff\xfe\x00")
    world.write("y.csv", "Name,BPM\na.wav,90\n")
    a, b = world.scan()
    assert (a["caption"], a["lyrics"], b["bpm"]) == ("", "[Instrumental]", None)
    for words in ("a.txt is not UTF-8", "a.json is not valid JSON", "b.json is not a JSON object",
                  "x.csv is not UTF-8", "y.csv: it is ignored"):  # fmt: skip
        assert words in world.notices()


def test_a_cut_song_is_used_and_said(world):
    cut(world.song("whole.mp3", seconds=6.0), world.songs / "cut.mp3", 0.5)
    samples = {Path(s["audio_path"]).name: s for s in world.scan()}
    assert 1.0 < samples["cut.mp3"]["duration"] < 5.0
    assert "cut.mp3: its header says 6.0 s" in world.notices()


def test_names_that_are_no_unicode_are_skipped(world):
    world.song("a.wav")
    shutil.copy(world.songs / "a.wav", os.fsencode(world.songs) + b"/b\xff.wav")
    assert paths(world.scan()) == ["songs/a.wav"]
    (event,) = world.heard(events.Skipped)
    assert "not valid Unicode" in event.reason
    events.to_json(event).encode("utf-8")


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"samples": 3}', b'{"version": 9, "samples": []}']
)
def test_a_broken_dataset_is_not_overwritten(world, content):
    world.song("a.wav")
    world.output.write_bytes(content)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        world.scan()
    assert world.output.read_bytes() == content
    assert sorted(os.listdir(world.output.parent)) == ["dataset.json", "songs"]


def test_when_nothing_can_be_used_nothing_is_written(world):
    with pytest.raises(DatasetError, match="no songs in") as caught:
        world.scan()
    assert all(suffix in caught.value.hint for suffix in (".wav", ".mp3", ".flac", ".ogg", ".opus"))
    world.write("a.wav", "text")
    world.write("b.mp3", "text")
    with pytest.raises(DatasetError, match="none of the 2 files"):
        world.scan()
    assert not world.output.exists()
    world.songs = world.songs / "a.wav"
    with pytest.raises(DatasetError, match="is a file"):
        world.scan()
    world.songs = Path("no such folder")
    with pytest.raises(DatasetError, match="does not exist"):
        world.scan()


# --- scanning again -------------------------------------------------------------------------------


def test_what_a_person_wrote_stays_and_sidecars_are_followed(world):
    world.song("a.wav")
    world.write("a.caption.txt", "from the file")
    world.write("a.txt", "la la")
    world.scan(name="set", tag="myjazz", tag_position="append")
    world.edit("1", caption="a person's words", bpm=91)
    world.write("a.caption.txt", "changed")
    world.write("a.txt", "la la la")
    world.write("a.json", '{"bpm": 60, "keyscale": "Am"}')
    sample = world.scan()[0]
    assert sample["caption"] == "a person's words, myjazz" and sample["bpm"] == 91
    assert sample["lyrics"] == "la la la" and sample["keyscale"] == "A minor"
    assert world.value()["dataset_name"] == "set"
    assert world.value()["tag_position"] == "append"
    (world.songs / "a.txt").unlink()
    assert world.scan()[0]["lyrics"] == "la la la"
    assert world.scan(tag="other", name="new")[0]["caption"] == "a person's words, other"
    assert (world.output.parent / "dataset.json.history").is_dir()


def test_what_was_changed_in_a_text_editor_stays_too(world):
    world.song("a.wav")
    world.write("a.caption.txt", "from the file")
    world.scan(tag="myjazz")
    value = world.value()
    value["samples"][0]["caption"] = "myjazz, typed into the JSON"
    value["samples"][0]["mood"] = "blue"
    world.output.write_text(json.dumps(value))
    world.write("a.caption.txt", "changed")
    sample = world.scan()[0]
    assert (sample["caption"], sample["mood"]) == ("myjazz, typed into the JSON", "blue")


def test_labels_of_models_stay_until_a_sidecar_says_otherwise(world):
    world.song("a.wav")
    world.scan()
    dataset = load_dataset(world.output)
    dataset.songs[0].give("caption", "by a model", "lm")
    dataset.songs[0].give("bpm", 77, "analysis")
    save_dataset(dataset, world.output)
    world.write("a.json", '{"bpm": 77}')
    sample = world.scan()[0]
    assert (sample["caption"], sample["bpm"]) == ("by a model", 77)
    assert sample["sources"]["caption"] == "lm" and sample["sources"]["bpm"] == "analysis"
    world.write("a.json", '{"caption": "sidecar", "bpm": 60}')
    sample = world.scan()[0]
    assert (sample["caption"], sample["bpm"]) == ("sidecar", 60)
    assert set(sample["sources"].values()) == {"sidecar"}


def test_moved_renamed_and_swapped_songs_keep_their_labels(world):
    for name, pitch in (("a.wav", 220), ("b.wav", 330), ("c.wav", 440)):
        world.song(name, pitch)
    world.scan()
    for name in "abc":
        world.edit(f"{name}.wav", caption=name)
    (world.songs / "sub").mkdir()
    (world.songs / "a.wav").rename(world.songs / "sub/new.wav")
    (world.songs / "b.wav").rename(world.songs / "x")
    (world.songs / "c.wav").rename(world.songs / "b.wav")
    (world.songs / "x").rename(world.songs / "c.wav")
    captions = {sample["audio_path"]: sample["caption"] for sample in world.scan()}
    assert captions == {"songs/sub/new.wav": "a", "songs/b.wav": "c", "songs/c.wav": "b"}
    assert "sub/new.wav: moved here from songs/a.wav" in world.notices()


def test_new_audio_under_an_old_name_keeps_the_labels_and_gets_a_new_id(world):
    world.song("a.wav")
    old = world.scan()[0]["id"]
    world.edit("1", caption="words")
    world.song("a.wav", 330, seconds=0.7)
    sample = world.scan()[0]
    assert sample["caption"] == "words" and sample["id"] != old and sample["duration"] == 0.7
    assert "a.wav: its audio has changed" in world.notices()


def test_songs_that_are_gone_or_no_longer_readable_stay_in_the_list(world):
    for name, pitch in (("a.wav", 220), ("b.wav", 330), ("c.wav", 440)):
        world.song(name, pitch)
    world.scan()
    world.edit("b.wav", caption="kept")
    world.edit("c.wav", caption="kept, too")
    (world.songs / "b.wav").unlink()
    (world.songs / "c.wav").write_text("broken")
    captions = {sample["audio_path"]: sample["caption"] for sample in world.scan()}
    assert captions == {"songs/a.wav": "", "songs/b.wav": "kept", "songs/c.wav": "kept, too"}
    assert "songs/b.wav: its file is gone" in world.notices()
    assert "c.wav: its file is gone" not in world.notices()


def test_songs_from_another_folder_are_added_to(world, tmp_path):
    world.song("a.wav")
    world.scan(name="both")
    world.songs = tmp_path / "more"
    world.song("b.wav", 330)
    assert sorted(paths(world.scan())) == ["more/b.wav", "songs/a.wav"]
    assert "gone" not in world.notices() and world.value()["dataset_name"] == "both"


def test_a_hand_written_guide_file_is_completed(world):
    world.song("song1.wav")
    value = {
        "dataset_name": "my-jazz-dataset", "activation_tag": "myjazz", "tag_position": "prepend",
        "samples": [
            {"audio_path": str(world.songs / "song1.wav"), "caption": "myjazz, smooth jazz",
             "lyrics": "[Instrumental]", "bpm": 90, "keyscale": "Bb Major", "timesignature": 4,
             "language": "unknown", "instrumental": True}
        ],
    }  # fmt: skip
    world.output.write_text(json.dumps(value))
    world.write("song1.json", '{"bpm": 60, "genre": "jazz"}')
    (sample,) = world.scan()
    assert {key: sample[key] for key in value["samples"][0]} == value["samples"][0]
    assert sample["genre"] == "jazz" and sample["duration"] == 0.5
    assert len(sample["id"]) == 16 and not sample["id"].startswith("path")


def test_the_originals_file_keeps_its_layout_and_ids(world):
    world.song("a.wav")
    value = {
        "metadata": {"name": "n", "custom_tag": "t", "tag_position": "replace"},
        "samples": [
            {"id": "1a2b3c4d", "audio_path": "songs/a.wav", "caption": "c", "labeled": True}
        ],
    }
    world.output.write_text(json.dumps(value))
    world.song("b.wav", 330)
    a, b = world.scan()
    assert a["id"] == "1a2b3c4d" and a["caption"] == "c" and a["custom_tag"] == "t"
    assert b["filename"] == "b.wav" and world.value()["metadata"]["num_samples"] == 2
