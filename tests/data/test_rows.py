"""Tables that are datasets: of ours and of others, and those that are none."""

import json
import re
from pathlib import Path

import pytest

from acestep.data.rows import dataset_file, read_rows
from acestep.data.song import load_dataset, save_dataset
from acestep.errors import DatasetError


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_table_of_a_key_and_tempo_finder_is_a_dataset(tmp_path):
    path = write(
        tmp_path / "k.csv", "sep=;\nFile;BPM;Key;Caption\na.wav;90,4;8A;warm\n\nb.wav;;;\n"
    )
    first, second = load_dataset(path).songs
    assert (first.audio_path, first.bpm, first.keyscale, first.caption) == (
        "a.wav", 90, "A minor", "warm")  # fmt: skip
    assert first.sources == {"bpm": "person", "keyscale": "person", "caption": "person"}
    assert second.bpm is None and second.id.startswith("path")


def test_an_audiofolder_of_others_is_a_dataset(tmp_path):
    lines = [{"file_name": "train/a.wav", "text": "warm", "bpm": 90.2, "speaker": "x"},
             {"file_name": "b.wav", "text": None, "instrumental": True}]  # fmt: skip
    write(tmp_path / "set/metadata.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    dataset = load_dataset(tmp_path / "set")
    assert dataset.name == "set" and dataset.path == tmp_path / "set/metadata.jsonl"
    assert [song.caption for song in dataset.songs] == ["warm", ""]
    assert dataset.songs[0].extra == {"speaker": "x"} and dataset.songs[0].bpm == 90
    assert dataset.songs[1].instrumental
    dataset.songs[0].bpm = 45
    save_dataset(dataset, tmp_path / "set")
    again = load_dataset(tmp_path / "set").songs[0]
    assert (again.bpm, again.extra) == (45, {"speaker": "x"})
    assert dataset_file(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "has no rows with a column file"),
        ("a.csv", "File\n", "has no rows"),
        ("a.csv", "Song,BPM\na.wav,3\n", "has no rows"),
        ("a.csv", "File,BPM\n,90\n", "line 2 has no file"),
        ("a.csv", "File,BPM\na.wav,fast\n", 'a.csv: line 2.*bpm: "fast" is not a number'),
        ("a.csv", "File,instrumental\na.wav,maybe\n", 'line 2.instrumental: "maybe" is neither'),
        ("a.csv", "File,duration\na.wav,long\n", 'line 2.duration: "long" is not a number of s'),
        ("a.csv", "File,duration\na.wav,nan\n", "line 2.duration: .*is not a number of seconds"),
        ("a.csv", "File,sources\na.wav,{\n", 'line 2.sources: "{" is not JSON'),
        ("a.csv", "File,sources\na.wav,[1]\n", "line 2.sources: .*is not a JSON object"),
        ("a.csv", "File,id\na.wav,../x\n", "line 2.id: .* cannot be part of a file name"),
        ("a.csv", "File,c\na.wav," + "x" * 200_000, "is not a table: field larger"),
        ("a.csv", b"File\n\xff\xfe\xfa", "is not UTF-8"),
        ("a.csv", b"File\n\0", "zero bytes"),
        ("m.jsonl", "{", "line 1 is not valid JSON"),
        ("m.jsonl", '\n{"file_name": "a"}\n3', "line 3 is not a JSON object"),
        ("m.jsonl", "[" * 100_000, "line 1 is not valid JSON"),
        ("m.jsonl", '{"file_name": 3}', "line 1 has no file: 3"),
        ("m.jsonl", '{"text": "x"}', "line 1 has no file: None"),
        ("m.jsonl", '{"file_name": "a", "bpm": [1]}', r"line 1.bpm: \[1\] is not a number"),
        ("m.jsonl", '{"file_name": "a", "caption": 3}', "line 1.caption: 3 is not text"),
        ("m.jsonl", '{"file_name": "a", "duration": 1e999}', "is not a number of seconds"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_its_place(tmp_path, name, content, words):
    path = write(tmp_path / name, content)
    with pytest.raises(DatasetError, match=words) as caught:
        load_dataset(path)
    assert name in str(caught.value) and caught.value.hint
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["../a.wav", "x/../../a", "/etc/a.wav", "C:\\a.wav", "..\\a.wav"])
def test_a_song_outside_of_its_audiofolder_is_refused(tmp_path, name):
    path = write(tmp_path / "m.jsonl", json.dumps({"file_name": name}))
    with pytest.raises(DatasetError, match=re.escape(repr(name)) + " leads out of the folder"):
        read_rows(path)


def test_a_table_that_is_missing_or_a_folder_is_said(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path / "none.jsonl"):
        with pytest.raises(DatasetError, match="cannot be read|does not exist"):
            load_dataset(path)
    with pytest.raises(DatasetError):
        load_dataset(tmp_path)
