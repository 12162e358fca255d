"""Writing that cannot lose what was there."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from acestep.data.files import (
    alone_in,
    atomic,
    atomic_folder,
    remove_leftovers,
    shown,
    size_text,
    write_json,
    write_text,
)


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """What was pushed to the disk, in order, and when something was renamed."""
    log: list[str] = []
    real = {name: vars(os)[name] for name in ("fsync", "replace", "rename")}

    def fsync(handle: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real["fsync"](handle)

    def renaming(name):
        def rename(source, target):
            log.append("rename")
            real[name](source, target)

        return rename

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renaming("replace"))
    monkeypatch.setattr(os, "rename", renaming("rename"))
    return log


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_json_arrive_in_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "Für Elise\n愛\n")
    assert (tmp_path / "a.txt").read_bytes() == "Für Elise\n愛\n".encode()
    write_json(tmp_path / "deep" / "er" / "a.json", {"名": ["ü", 1.5, None]})
    text = (tmp_path / "deep" / "er" / "a.json").read_text(encoding="utf-8")
    assert "名" in text and json.loads(text) == {"名": ["ü", 1.5, None]}
    assert names(tmp_path) == ["a.txt", "deep"]


def test_the_temporary_file_lies_beside_the_target_and_keeps_its_suffix(tmp_path):
    with atomic(tmp_path / "song.flac") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".flac"
        assert temporary.name.startswith(".tmp-")
        temporary.write_bytes(b"x")
    assert names(tmp_path) == ["song.flac"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_an_error_in_between_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "dataset.json"
    path.write_text("before")
    with pytest.raises(error), atomic(path, backup=True) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert names(tmp_path) == ["dataset.json"]


def test_a_failing_rename_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "dataset.json"
    path.write_text("before")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["dataset.json"]


def test_a_process_killed_in_between_leaves_the_old_file(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text("before")
    body = f"""
    import os, signal
    from pathlib import Path
    from acestep.data.files import atomic
    with atomic(Path({str(path)!r})) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], timeout=180)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert all(name.startswith(".tmp-") for name in names(tmp_path) if name != "dataset.json")


def test_the_version_before_is_kept_as_bak(tmp_path):
    path = tmp_path / "dataset.json"
    write_json(path, 1, backup=True)
    assert names(tmp_path) == ["dataset.json"]
    write_json(path, 2, backup=True)
    write_json(path, 3, backup=True)
    assert json.loads(path.read_text()) == 3
    assert json.loads((tmp_path / "dataset.json.bak").read_text()) == 2
    write_json(path, 4)
    assert json.loads((tmp_path / "dataset.json.bak").read_text()) == 2


def test_contents_are_on_the_disk_before_the_name_and_the_name_after(tmp_path, synced):
    write_text(tmp_path / "a.txt", "x")
    assert synced[0] == "file" and synced[-2:] == ["rename", "folder"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    umask = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
        with atomic_folder(tmp_path / "run") as temporary:
            (temporary / "a").write_text("x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o750


def test_a_folder_appears_whole(tmp_path, synced):
    target = tmp_path / "checkpoints" / "epoch_1"
    with atomic_folder(target) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "weights").write_bytes(b"w")
        (temporary / "card.json").write_text("{}")
        assert not target.exists()
    assert names(target) == ["card.json", "deep"]
    assert names(target.parent) == ["epoch_1"]
    before = synced[: synced.index("rename")]
    assert before.count("file") == 2 and "folder" in before and synced[-1] == "folder"


def test_a_folder_that_fails_is_not_there(tmp_path):
    with pytest.raises(ValueError), atomic_folder(tmp_path / "epoch_1") as temporary:
        (temporary / "weights").write_bytes(b"w")
        raise ValueError
    assert names(tmp_path) == []


def test_a_finished_folder_is_never_replaced(tmp_path):
    target = tmp_path / "epoch_1"
    target.mkdir()
    (target / "weights").write_bytes(b"before")
    with pytest.raises(OSError), atomic_folder(target) as temporary:
        (temporary / "weights").write_bytes(b"after")
    assert (target / "weights").read_bytes() == b"before"
    assert names(tmp_path) == ["epoch_1"]


def test_paths_that_are_no_unicode_can_be_shown():
    assert shown(Path("Für Elise.wav")) == "Für Elise.wav"
    assert shown(os.fsdecode(b"a\xff.wav")).isprintable()
    shown(os.fsdecode(b"a\xff.wav")).encode("utf-8")


def test_sizes_for_people():
    sizes = [0, 999, 23_663_384, 4_700_000_000]
    assert [size_text(size) for size in sizes] == ["0 B", "999 B", "23.7 MB", "4.7 GB"]


def test_a_folder_is_held_by_one_process_until_it_ends(tmp_path):
    code = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from acestep.data.files import alone_in
        with alone_in(Path({str(tmp_path)!r})):
            print("held", flush=True)
            time.sleep(600)
        """
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError), alone_in(tmp_path):
        pass
    other.kill()
    other.wait()
    with alone_in(tmp_path):
        assert not list(tmp_path.iterdir())  # a hold leaves no file


def test_only_our_own_leftovers_are_removed(tmp_path):
    for name in (".tmp-ab12_x9z.pt", ".tmp-not-ours", ".tmp-ab12_x9z.pt.mine", "song.pt"):
        (tmp_path / name).touch()
    (tmp_path / ".tmp-12345678").mkdir()
    (tmp_path / ".tmp-12345678" / "inside").touch()
    remove_leftovers(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".tmp-not-ours", ".tmp-ab12_x9z.pt.mine", "song.pt"}
