import json

import pytest

from acestep.data.tables import read_tables

SONGS = ("a.wav", "b.wav", "one/c.wav", "two/c.wav", "two/d.mp3", "ñ.flac", "deep/one/e.wav")


def table(tmp_path, text, name="keys.csv", encoding="utf-8"):
    (tmp_path / name).write_bytes(text.encode(encoding))
    found, notices = read_tables(tmp_path, [tmp_path / song for song in SONGS])
    labels = {
        path.relative_to(tmp_path).as_posix(): {key: value for key, (value, _) in row.items()}
        for path, row in found.items()
    }
    assert {source for row in found.values() for _, source in row.values()} <= {"sidecar"}
    return labels, [notice.message for notice in notices]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_spreadsheets_csv(tmp_path, delimiter, encoding, end):
    rows = [["File", "Artist", "BPM", "Key", "Camelot", "Caption"],
            ["a.wav", "x", "127.6", "F#m", "11A", '"warm, slow; ""blue"""'],
            ["ñ.flac", "", "", "Bb Major", "", ""]]  # fmt: skip
    labels, notices = table(
        tmp_path, end.join(delimiter.join(row) for row in rows) + end, encoding=encoding
    )
    assert labels == {
        "a.wav": {"bpm": 128, "keyscale": "F# minor", "caption": 'warm, slow; "blue"'},
        "ñ.flac": {"keyscale": "Bb major"},
    }
    assert notices == []


def test_column_names_in_any_case_and_rows_of_any_length(tmp_path):
    labels, _ = table(tmp_path, "BPM , FILE,caption\n90,a.wav\n\n,,\n80,b.wav,x,y,z\n,a.wav,\n")
    assert labels == {"a.wav": {"bpm": 90}, "b.wav": {"bpm": 80, "caption": "x"}}


def test_excels_first_line_and_captions_of_several_lines(tmp_path):
    labels, _ = table(tmp_path, 'sep=;\nFile;Caption\na.wav;"one\ntwo"\nb.wav;x\n')
    assert labels == {"a.wav": {"caption": "one\ntwo"}, "b.wav": {"caption": "x"}}


@pytest.mark.parametrize(
    ("name", "song"),
    [
        ("a.wav", "a.wav"), ("A.WAV", "a.wav"), ("a", "a.wav"), ("./a.wav", "a.wav"),
        ("one/c.wav", "one/c.wav"), ("two\\c.wav", "two/c.wav"), ("d.mp3", "two/d.mp3"),
        ("n\u0303.flac", "ñ.flac"), ("C:\\Music\\two\\c.wav", "two/c.wav"),
        ("/old/place/b.wav", "b.wav"),
        ("one/e.wav", "deep/one/e.wav"), ("/x/deep/one/e.wav", "deep/one/e.wav"),
    ],
)  # fmt: skip
def test_what_a_table_may_call_a_song(tmp_path, name, song):
    labels, notices = table(tmp_path, f"File,BPM\n{name},90\n")
    assert labels == {song: {"bpm": 90}} and notices == []


def test_its_full_path_is_the_best_name(tmp_path):
    labels, _ = table(tmp_path, f"File,BPM\n{tmp_path / 'two/c.wav'},90\n")
    assert labels == {"two/c.wav": {"bpm": 90}}


@pytest.mark.parametrize("name", ["c.wav", "c", "/elsewhere/c.wav"])
def test_a_name_that_fits_two_songs_is_reported_and_not_guessed(tmp_path, name):
    labels, notices = table(tmp_path, f"File,BPM\n{name},90\na.wav,80\n")
    assert labels == {"a.wav": {"bpm": 80}}
    assert len(notices) == 1 and "line 2" in notices[0]
    assert "one/c.wav, two/c.wav" in notices[0]


def test_strangers_and_wrong_values_are_reported_and_the_rest_is_used(tmp_path):
    text = "File,BPM,Key\na.wav,fast,Am\nx.wav,90,\nthree/c.wav,90,\nb.wav,,D dorian\n"
    labels, notices = table(tmp_path, text)
    assert labels == {"a.wav": {"keyscale": "A minor"}, "b.wav": {"keyscale": "D dorian"}}
    assert notices == [
        "line 2: bpm 'fast' is not a number",
        "2 of 4 rows name no song here: x.wav, three/c.wav",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ignored"), (b"Title,BPM\na,90\n", "ignored"), (b"File,BPM\n", "ignored"),
        ("File;Größe\n".encode("latin-1"), "not UTF-8"), (b"\x00\x01\x02", "zero bytes"),
        (b"File,Caption\na.wav," + b"x" * 200_000 + b"\n", "not a CSV table"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_reported_by_name(tmp_path, content, words):
    (tmp_path / "bad.csv").write_bytes(content)
    labels, notices = table(tmp_path, "File,BPM\na.wav,90\n")
    assert labels == {"a.wav": {"bpm": 90}}
    assert len(notices) == 1 and words in notices[0]


def test_later_tables_win_and_only_those_of_the_folder_itself_count(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "two/z.csv").write_text("File,BPM\na.wav,10\n")
    (tmp_path / ".hidden.csv").write_text("File,BPM\na.wav,20\n")
    (tmp_path / "b.CSV").write_text("File,BPM\na.wav,30\n")
    labels, _ = table(tmp_path, "File,BPM,Key\na.wav,40,Am\n", name="a.csv")
    assert labels == {"a.wav": {"bpm": 30, "keyscale": "A minor"}}


def test_a_missing_folder_has_no_tables(tmp_path):
    assert read_tables(tmp_path / "none", []) == ({}, [])


def test_other_labels_and_metadata_of_an_audiofolder_are_read(tmp_path):
    lines = [{"file_name": "a.wav", "text": "warm", "bpm": 90, "instrumental": True, "x": [1]},
             {"file_name": "b.wav", "lyrics": "la la", "language": "KO", "bpm": None}]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    labels, notices = table(tmp_path, "File,Genre,TimeSignature,Title\nb.wav,'=jazz,3/4,'-\n")
    assert notices == []
    assert labels == {
        "a.wav": {"caption": "warm", "bpm": 90, "instrumental": True},
        "b.wav": {"lyrics": "la la", "language": "ko", "instrumental": False, "genre": "=jazz",
                  "timesignature": "3", "title": "-"},
    }  # fmt: skip


def test_json_lines_that_are_none_are_reported(tmp_path):
    (tmp_path / "metadata.jsonl").write_text("{}\n{", encoding="utf-8")
    labels, notices = table(tmp_path, "File,BPM\na.wav,90\n")
    assert labels == {"a.wav": {"bpm": 90}} and "line 2 is not valid JSON" in notices[0]
