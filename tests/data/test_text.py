import codecs

import pytest

from acestep.data.text import MAX_BYTES, read_text
from acestep.errors import LabelError

TEXT = "[Verse 1]\nñandú 노래 🎷\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
    ],
)
def test_whatever_an_editor_saves_is_the_same_text(tmp_path, data):
    (tmp_path / "song.txt").write_bytes(data)
    assert read_text(tmp_path / "song.txt") == TEXT


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("größer".encode("latin-1"), r"is not UTF-8 text \(byte 2\)"),
        ("歌".encode("shift-jis"), "is not UTF-8 text"),
        (b"\xff\xfea", "is not UTF-8 text"),
        (b"a\0b", "zero bytes"),
        (b"x" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_other_bytes_are_refused_not_guessed(tmp_path, data, words):
    (tmp_path / "song.txt").write_bytes(data)
    with pytest.raises(LabelError, match=words) as caught:
        read_text(tmp_path / "song.txt")
    assert "song.txt" in str(caught.value) and caught.value.hint


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(LabelError, match="cannot be read"):
            read_text(path)
