"""Changes of one song and of many."""

import pytest

from acestep.data.edits import assign, put_words, replace_words, set_labels, strip_words
from acestep.data.expressions import assignment
from acestep.data.song import Song
from acestep.errors import ConfigError


@pytest.fixture
def songs():
    return [
        Song("a.wav", id="a", caption="jazz, warm", bpm=50, sources={"caption": "draft"}),
        Song("b.wav", id="b", caption="lo-fi, Jazz", bpm=300, sources={"bpm": "analysis"}),
        Song("c.wav", id="c"),
    ]


def captions(songs):
    return [song.caption for song in songs]


def ids(songs):
    return "".join(song.id for song in songs)


def test_labels_become_a_persons_and_an_emptied_one_nobodys(songs):
    song = songs[0]
    assert set_labels(song, {"caption": "cold", "bpm": 60, "keyscale": "Am"}) == []
    assert (song.caption, song.bpm, song.keyscale) == ("cold", 60, "A minor")
    assert song.sources == {"caption": "person", "bpm": "person", "keyscale": "person"}
    set_labels(song, {"caption": ""})
    assert song.source("caption") == "" and song.caption == ""


def test_lyrics_and_instrumental_follow_each_other(songs):
    (notice,) = set_labels(songs[0], {"lyrics": ""})
    assert songs[0].instrumental and "no longer counts as sung" in notice.message
    (notice,) = set_labels(songs[0], {"lyrics": "la la"})
    assert not songs[0].instrumental and songs[0].lyrics == "la la"
    (notice,) = set_labels(songs[0], {"lyrics": "la", "instrumental": True})
    assert "kept and not used" in notice.message
    (notice,) = set_labels(songs[0], {"keyscale": "D dorian"})
    assert "not understood" in notice.message and songs[0].keyscale == "D dorian"


def test_assignments_change_what_they_change(songs):
    changed, notices = assign(songs, [assignment("bpm*=2"), assignment("bpm+=1")])
    assert ids(changed) == "ab" and notices == []
    assert [song.bpm for song in songs] == [101, 601, None]
    assert songs[1].sources == {"bpm": "person"}
    assert assign(songs, [assignment("bpm*=1")]) == ([], [])
    assert assign([], [assignment("bpm*=2")]) == ([], []) == assign(songs, [])


def test_if_one_result_cannot_be_nothing_changes(songs):
    with pytest.raises(ConfigError, match=r"b\.wav: 300 would become 1200"):
        assign(songs, [assignment("caption=x"), assignment("bpm*=4")])
    assert captions(songs) == ["jazz, warm", "lo-fi, Jazz", ""] and songs[0].bpm == 50


def test_words_are_put_in_front_and_behind_once(songs):
    assert ids(put_words(songs, "lo-fi")) == "a"
    assert captions(songs) == ["lo-fi, jazz, warm", "lo-fi, Jazz", ""]
    assert ids(put_words(songs, "warm", "append")) == "b"
    assert captions(songs) == ["lo-fi, jazz, warm", "lo-fi, Jazz, warm", ""]
    assert put_words(songs, "lo-fi") == [] and songs[0].source("caption") == "person"


def test_words_are_taken_out_between_commas_only(songs):
    songs[2].caption = "jazzy"
    assert ids(strip_words(songs, "JAZZ")) == "ab"
    assert captions(songs) == ["warm", "lo-fi", "jazzy"]
    assert strip_words(songs, "") == []


def test_words_are_replaced_as_they_are_written(songs):
    assert ids(replace_words(songs, "Jazz", "swing")) == "b"
    assert captions(songs) == ["jazz, warm", "lo-fi, swing", ""]
    assert ids(replace_words(songs, ", warm", "")) == "a"
    assert captions(songs)[0] == "jazz"
    assert replace_words(songs, "", "x") == [] and replace_words(songs, ".*", "x") == []
    replace_words(songs, "jazz", "")
    assert songs[0].caption == "" and songs[0].source("caption") == ""
