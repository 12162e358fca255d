"""A dataset as a table and a form."""

from acestep.data.song import Dataset, Song
from acestep.web.songs import COLUMNS, FIELDS, audio_of, changes, fields_of, rows, tag_example

SONG = Song(
    "a.wav", "id1", caption="warm <b>jazz</b>", bpm=90, keyscale="A minor", timesignature="4",
    duration=125.4, lyrics="[Verse]\nla", language="en",
)  # fmt: skip


def test_a_row_says_what_is_known_and_a_star_what_is_not_saved():
    dataset = Dataset(tag="zz", songs=[SONG, Song("dir/b.ogg", "id2")])
    table = rows(dataset, {"id2": {"bpm": "7"}}, "en")
    first, second = (dict(zip(COLUMNS, row, strict=True)) for row in table)
    assert (first["number"], first["duration"], first["bpm"]) == ("1", "2:05", "90")
    assert (first["lyrics"], first["labelled"], second["labelled"]) == ("yes", "yes", "no")
    assert (second["number"], second["name"], second["bpm"]) == ("2 *", "b.ogg", "")
    assert "caption" in second["warnings"]
    assert rows(dataset, {}, "ko")[0][3] == "예"


def test_the_form_shows_what_was_typed_over_what_is_saved():
    assert fields_of(SONG, {})["bpm"] == "90"
    shown = fields_of(SONG, {"bpm": "9", "strange": 1})
    assert shown["bpm"] == "9" and tuple(shown) == FIELDS
    assert fields_of(Song("a", "b"), {})["lyrics"] == ""


def test_only_what_differs_is_a_change():
    same = fields_of(SONG, {})
    assert changes(SONG, same) == {}
    assert changes(SONG, {**same, "caption": " warm <b>jazz</b>\n"}) == {}
    assert changes(SONG, {**same, "bpm": "", "instrumental": True}) == {
        "bpm": "",
        "instrumental": True,
    }


def test_the_example_is_what_the_model_reads():
    assert tag_example("zz", "append", "piano") == "piano, zz"
    assert tag_example("zz", "", "piano") == "zz, piano"


def test_a_song_without_its_file(tmp_path):
    dataset = Dataset(path=tmp_path / "d.json", songs=[Song("a.wav", "x")])
    assert audio_of(dataset, dataset.songs[0]) is None
    (tmp_path / "a.wav").touch()
    assert audio_of(dataset, dataset.songs[0]) == tmp_path / "a.wav"
