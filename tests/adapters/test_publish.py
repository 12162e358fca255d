import json

import pytest

from acestep.adapters.publish import CARD_FILE, published, write_record
from acestep.errors import AdapterError


def put(folder, **files):
    with published(folder) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text)
        write_record(temporary, {"step": 1})


def contents(folder):
    return {f.name: f.read_text() for f in folder.iterdir() if f.name != CARD_FILE}


def test_a_new_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with pytest.raises(ZeroDivisionError), published(out) as temporary:
        (temporary / "a").write_text("half")
        _ = 1 / 0
    assert list(out.parent.iterdir()) == []
    put(out, a="1", b="2")
    assert contents(out) == {"a": "1", "b": "2"}
    record = json.loads((out / CARD_FILE).read_text())
    assert record["card"] == {"step": 1} and sorted(record["files"]) == ["a", "b"]


def test_our_own_files_are_replaced_and_those_left_over_go(tmp_path):
    put(tmp_path, a="1", b="2")
    (tmp_path / "other").write_text("x")
    put(tmp_path, b="3", c="4")
    assert contents(tmp_path) == {"b": "3", "c": "4", "other": "x"}


def test_a_left_over_file_that_was_changed_stays(tmp_path):
    put(tmp_path, a="1", b="2")
    (tmp_path / "a").write_text("mine now")
    put(tmp_path, b="3")
    assert contents(tmp_path) == {"a": "mine now", "b": "3"}


def test_a_strangers_file_stops_everything_before_anything_is_replaced(tmp_path):
    put(tmp_path, a="1", b="2")
    (tmp_path / "c").write_text("x")
    with pytest.raises(AdapterError, match="holds c"):
        put(tmp_path, a="3", b="4", c="5")
    assert contents(tmp_path) == {"a": "1", "b": "2", "c": "x"}


@pytest.mark.parametrize("record", ["", "{", "[]", '{"files": []}', '{"files": {"a": 3}}'])
def test_a_record_that_is_not_ours_protects_everything(record, tmp_path):
    (tmp_path / CARD_FILE).write_text(record)
    (tmp_path / "a").write_text("1")
    with pytest.raises(AdapterError, match="a, card.json"):
        put(tmp_path, a="2")
    assert (tmp_path / CARD_FILE).read_text() == record
    assert contents(tmp_path) == {"a": "1"}


def test_a_changed_middle_of_a_large_file_is_the_only_change_not_seen(tmp_path):
    large = "x" * (3 << 20)
    put(tmp_path, a=large)
    (tmp_path / "a").write_text("y" + large[1:])
    with pytest.raises(AdapterError, match="holds a"):
        put(tmp_path, a="1")
    (tmp_path / "a").write_text(large + "y")
    with pytest.raises(AdapterError, match="holds a"):
        put(tmp_path, a="1")


def test_a_record_cannot_name_a_file_elsewhere(tmp_path):
    out, victim = tmp_path / "out", tmp_path / "victim"
    put(out, a="1")
    victim.write_text("1")
    record = json.loads((out / CARD_FILE).read_text())
    record["files"] |= dict.fromkeys(("victim", "../victim", str(victim)), record["files"]["a"])
    (out / CARD_FILE).write_text(json.dumps(record))
    put(out, b="2")
    assert contents(out) == {"b": "2"} and victim.read_text() == "1"


def test_a_link_is_not_ours_even_to_what_is(tmp_path):
    out = tmp_path / "out"
    put(out, a="1")
    (out / "a").rename(tmp_path / "elsewhere")
    (out / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AdapterError, match="holds a"):
        put(out, a="2")
    assert (out / "a").is_symlink() and (tmp_path / "elsewhere").read_text() == "1"
