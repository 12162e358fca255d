import json
from pathlib import Path

import mutagen
import pytest
from sound_files import make_song

from acestep.data.sidecars import Sidecars, doubts, fill
from acestep.data.song import Song


@pytest.fixture
def folder(tmp_path):
    for name in ("song.wav", "other.wav"):
        (tmp_path / name).touch()
    return tmp_path


def labels(folder: Path, name: str = "song.wav", ignore: Path | None = None):
    """What is found beside a song that itself has no tags."""
    songs = sorted(folder.rglob("*.wav"))
    sidecars = Sidecars([folder], songs, ignore)
    notices = sidecars.read_tables()
    found, more = sidecars.labels(folder / name)
    # An empty file has no tags that could be read.
    words = [notice.message for notice in notices + more if "its tags" not in notice.message]
    return {key: value for key, (value, _) in found.items()}, words


def test_the_text_files(folder):
    (folder / "song.txt").write_text("[Verse 1]\nla la\n\n")
    (folder / "song.caption.txt").write_text("\ufeff warm jazz \r\n", encoding="utf-8")
    assert labels(folder) == (
        {"caption": "warm jazz", "lyrics": "[Verse 1]\nla la", "instrumental": False},
        [],
    )
    (folder / "song.lyrics.txt").write_text("better lyrics")
    assert labels(folder)[0]["lyrics"] == "better lyrics"
    (folder / "song.lyrics.txt").write_text("  \n")
    assert labels(folder)[0]["lyrics"] == "[Verse 1]\nla la"
    assert labels(folder, "other.wav") == ({}, [])


def test_instrumental_by_text(folder):
    (folder / "song.lyrics.txt").write_text("[instrumental]\n")
    assert labels(folder)[0] == {"lyrics": "[Instrumental]", "instrumental": True}


def test_captions_and_lyrics_are_not_the_lyrics_of_songs_with_such_names(folder):
    for name in ("song.caption.wav", "song.lyrics.wav", "caption.wav"):
        (folder / name).touch()
    (folder / "song.caption.txt").write_text("warm jazz")
    (folder / "song.lyrics.txt").write_text("la la")
    (folder / "caption.txt").write_text("the lyrics of caption.wav")
    assert labels(folder, "song.caption.wav")[0] == {}
    assert labels(folder, "song.lyrics.wav")[0] == {}
    assert labels(folder)[0]["caption"] == "warm jazz"
    assert labels(folder, "caption.wav")[0]["lyrics"] == "the lyrics of caption.wav"


def test_names_in_any_case_and_composition(folder):
    (folder / "Über.WAV").touch()
    (folder / "ÜBER.Caption.TXT").write_text("warm")
    (folder / "U\u0308ber.txt").write_text("la")
    found, _ = labels(folder, "Über.WAV")
    assert found == {"caption": "warm", "lyrics": "la", "instrumental": False}


def test_the_json_file(folder):
    record = {"caption": "warm", "bpm": 190, "keyscale": "D Major", "timesignature": "3/4",
              "language": "JA", "lyrics": "la", "genre": "jazz", "unknown": [1]}  # fmt: skip
    (folder / "song.json").write_text(json.dumps(record), encoding="utf-8-sig")
    assert labels(folder) == (
        {"caption": "warm", "bpm": 190, "keyscale": "D major", "timesignature": "3",
         "language": "ja", "lyrics": "la", "genre": "jazz", "instrumental": False},
        [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "instrumental"),
    [
        ({"instrumental": True}, True),
        ({"is_instrumental": False}, False),
        ({"language": "instrumental"}, True),
        ({"language": "en"}, False),
        ({"language": "unknown"}, None),
        ({"lyrics": "la"}, False),
        ({"lyrics": "[Instrumental]"}, True),
        ({"lyrics": "la", "instrumental": True}, True),
        ({"caption": "x", "instrumental": None, "bpm": None, "keyscale": "", "genre": ""}, None),
    ],
)
def test_what_a_json_file_says_about_voices(folder, record, instrumental):
    (folder / "song.json").write_text(json.dumps(record))
    found, notices = labels(folder)
    assert found.get("instrumental") is instrumental and notices == []
    assert None not in found.values() and "" not in found.values()


def test_wrong_values_are_reported_and_the_others_used(folder):
    record = {"caption": ["x"], "bpm": "fast", "keyscale": "H", "timesignature": 4, "language": "x"}
    (folder / "song.json").write_text(json.dumps(record))
    found, notices = labels(folder)
    assert found == {
        "keyscale": "H",
        "timesignature": "4",
        "language": "x",
        "instrumental": False,
    }
    assert len(notices) == 4
    for words in ('caption: ["x"] is not text', 'bpm: "fast" is not a number', "'x' is not a code",
                  "keyscale 'H' is not understood"):  # fmt: skip
        assert any(words in notice for notice in notices)


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b"", b"null", b'"x"', b"\xff\xfe\x00", b"[" * 50_000, b"\x00", b"{\xfc}"],
)  # fmt: skip
def test_broken_json_is_a_notice(folder, content):
    (folder / "song.json").write_bytes(content)
    (folder / "song.caption.txt").write_text("warm")
    found, notices = labels(folder)
    assert found == {"caption": "warm"}
    assert len(notices) == 1 and "song.json" in notices[0]


def test_broken_text_is_a_notice_and_the_next_file_is_used(folder):
    (folder / "song.lyrics.txt").write_bytes("süß".encode("latin-1"))
    (folder / "song.txt").write_text("la")
    found, notices = labels(folder)
    assert found["lyrics"] == "la"
    assert len(notices) == 1 and "song.lyrics.txt is not UTF-8" in notices[0]


def test_a_dataset_named_like_a_song_is_no_sidecar(folder):
    (folder / "song.json").write_text('{"samples": []}')
    assert labels(folder) == ({}, [])
    (folder / "song.json").write_text('{"caption": "x"}')
    assert labels(folder, ignore=folder / "song.json") == ({}, [])


def test_names_too_long_for_a_sidecar(tmp_path):
    name = "y" * 251 + ".wav"
    (tmp_path / name).touch()
    assert labels(tmp_path, name) == ({}, [])


def test_a_missing_folder_has_nothing(tmp_path):
    assert Sidecars([], []).labels(tmp_path / "none" / "a.wav") == ({}, [])


def test_order_of_trust(tmp_path):
    song = make_song(tmp_path / "song.flac", 0.3)
    file = mutagen.File(song)
    file.update({"title": "T", "bpm": "1", "initialkey": "1A", "genre": "G", "lyrics": "tag"})
    file.save()

    def found():
        sidecars = Sidecars([tmp_path], [song])
        assert sidecars.read_tables() == []
        return sidecars.labels(song)[0]

    assert found() == {
        "title": ("T", "tag"), "genre": ("G", "tag"), "bpm": (1, "tag"),
        "keyscale": ("Ab minor", "tag"), "lyrics": ("tag", "tag"), "instrumental": (False, "tag"),
    }  # fmt: skip
    (tmp_path / "x.csv").write_text("File,BPM,Key,Caption\nsong.flac,2,2A,csv\n")
    assert found()["bpm"] == (2, "sidecar") and found()["caption"] == ("csv", "sidecar")
    (tmp_path / "song.caption.txt").write_text("text")
    (tmp_path / "song.txt").write_text("text")
    assert found()["caption"] == found()["lyrics"] == ("text", "sidecar")
    assert found()["keyscale"] == ("Eb minor", "sidecar")
    (tmp_path / "song.json").write_text('{"bpm": 4, "caption": "json", "lyrics": "json"}')
    assert found()["bpm"] == (4, "sidecar")
    assert found()["caption"] == found()["lyrics"] == ("json", "sidecar")


def test_tags_that_say_nothing(tmp_path):
    song = make_song(tmp_path / "song.ogg", 0.3)
    file = mutagen.File(song)
    file.update({"bpm": "fast", "initialkey": "o", "genre": " "})
    file["lyrics"] = "[ar:Someone]\n[00:01.00]one\n[00:02.50][00:09.00]two\n"
    file.save()
    found, notices = Sidecars([], [song]).labels(song)
    assert found == {"lyrics": ("one\ntwo", "tag"), "instrumental": (False, "tag")}
    assert [notice.message for notice in notices] == ["its tag bpm 'fast' is not a number"]


def test_damaged_tags_are_a_notice(tmp_path):
    song = make_song(tmp_path / "song.flac", 0.3)
    song.write_bytes(song.read_bytes()[:30])
    found, notices = Sidecars([], [song]).labels(song)
    assert found == {} and "its tags cannot be read" in notices[0].message


@pytest.mark.parametrize(
    ("before", "source", "after"),
    [
        ("person", "sidecar", "old"), ("person", "tag", "old"), ("lm", "sidecar", "new"),
        ("analysis", "sidecar", "new"), ("some later labeller", "sidecar", "old"),
        ("sidecar", "analysis", "old"), ("draft", "lm", "new"), ("lm", "draft", "old"),
        ("analysis", "draft", "old"), ("draft", "draft", "new"), ("tag", "lm", "old"),
        ("sidecar", "sidecar", "new"), ("tag", "sidecar", "new"), ("tag", "tag", "new"),
        ("sidecar", "tag", "old"), ("", "tag", "new"), ("", "sidecar", "new"),
    ],
)  # fmt: skip
def test_who_may_overwrite_whom(before, source, after):
    song = Song("a.wav", caption="old", sources={"caption": before} if before else {})
    changed = fill(song, {"caption": ("new", source)})
    assert song.caption == after and changed == (["caption"] if after == "new" else [])
    assert song.source("caption") == (source if after == "new" else before)
    assert fill(song, {"caption": ("new", source)}) == []


def test_doubts():
    assert list(doubts("s", {"language": ("en", "tag"), "keyscale": ("A minor", "tag")})) == []
    odd = {"language": ("xx", "tag"), "keyscale": ("H", "tag"), "timesignature": ("5/4", "tag")}
    assert len(list(doubts("s", odd))) == 3
