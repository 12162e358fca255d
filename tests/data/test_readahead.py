"""Reading in other processes: the same samples and errors, in order, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from acestep.data import readahead
from acestep.data.audio import inspect_audio, read_audio, write_audio
from acestep.data.readahead import BLOCK_BYTES, Cut, ReadAhead, free_cores
from acestep.errors import AudioError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    paths = []
    for number, (suffix, rate, seconds) in enumerate(
        [("flac", 44100, 75.0), ("wav", 48000, 0.5), ("ogg", 44100, 12.0), ("mp3", 32000, 3.0)]
    ):
        audio = np.random.default_rng(number).normal(0, 0.1, (2, round(seconds * rate)))
        paths.append(folder / f"{number} <b>'s.{suffix}")
        write_audio(paths[-1], audio, rate)
    return paths


def heard(workers, cuts, **knobs):
    """For each cut its samples, or the words of its error."""
    found = []
    with ReadAhead(workers, **knobs) as readers:
        for blocks in readers.streams(cuts):
            try:
                found.append(np.concatenate(list(blocks), axis=1))
            except AudioError as error:
                found.append((str(error), error.hint))
    return found


@pytest.mark.parametrize("workers", [1, 3])
def test_samples_errors_and_order_do_not_depend_on_the_workers(songs, tmp_path, workers):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "words.mp3").write_text("no audio at all")
    cuts = [Cut(path) for path in songs] + [Cut(songs[0], 3.25, 12.0), Cut(songs[2], 100.0)]
    cuts[1:1] = [Cut(tmp_path / name) for name in ("empty.wav", "words.mp3", "gone.flac")]
    here, there = heard(0, cuts), heard(workers, cuts)
    assert len(here) == len(there) == 9
    for one, other in zip(here, there, strict=True):
        same = np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
        assert same
    assert "empty: 0 bytes" in there[1][0] and "gone.flac" in there[3][0] and there[2][1]
    with ReadAhead(workers) as readers:
        facts = list(readers.facts([cut.path for cut in cuts[:5]]))
    assert facts[0] == inspect_audio(songs[0]) and facts[4] == inspect_audio(songs[1])
    assert [str(fact) for fact in facts[1:4]] == [words for words, _ in here[1:4]]


@LINUX
def test_names_that_are_no_text(songs, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\nb\xff.wav"))
    odd.write_bytes(songs[1].read_bytes())
    assert np.array_equal(heard(1, [Cut(odd)])[0], read_audio(songs[1]))


def test_nothing_to_read_starts_nothing():
    with ReadAhead(4) as readers:
        assert list(readers.facts([])) == [] and list(readers.streams([])) == []
        assert readers._processes._all == []


def test_processes_are_kept_for_the_next_questions(songs):
    with ReadAhead(1) as readers:
        list(readers.facts(songs))
        (first,) = readers._processes._all
        assert sum(1 for blocks in readers.streams([Cut(songs[1])]) for _ in blocks) == 1
        assert readers._processes._all == [first]


def test_what_waits_is_bounded(songs, monkeypatch):
    """Of a file of eight blocks and ten more files, no more than the room is read ahead."""
    put, most = [], [0]
    real = readahead._Supply.put
    monkeypatch.setattr(
        readahead._Supply, "put", lambda self, *a: (put.append(isinstance(a[1], np.ndarray)),
                                                    real(self, *a)),
    )  # fmt: skip
    with ReadAhead(1, held=1) as readers:
        assert readers._room == 2
        for blocks in readers.streams([Cut(songs[0])] + [Cut(songs[1])] * 10):
            before = sum(put)
            time.sleep(0.1)
            most[0] = max(most[0], sum(put) - before)
            for _ in blocks:
                pass
    assert sum(put) == 18 and most[0] <= 2 * 3 + 1
    assert ReadAhead(14)._room * 16 * BLOCK_BYTES <= readahead.HELD


def test_a_stream_may_be_left_before_its_end(songs):
    with ReadAhead(2) as readers:
        lengths = []
        for blocks in readers.streams([Cut(songs[0]), Cut(songs[2]), Cut(songs[1])]):
            lengths.append(next(blocks).shape[1])
    assert lengths == [480000, 480000, 24000]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_that_breaks_is_an_error_of_its_file_alone(songs, workers):
    with ReadAhead(workers, held=1) as readers:
        streams = readers.streams([Cut(songs[0])] + [Cut(songs[1])] * 5)
        blocks = next(streams)
        next(blocks)
        for process in list(readers._processes._all):  # their threads change it meanwhile
            process._process.send_signal(signal.SIGKILL)
        with pytest.raises(AudioError, match="killed by signal 9") as caught:
            list(blocks)
        assert "--workers" in caught.value.hint
        rest = []
        for stream in streams:
            try:
                rest.append(sum(block.shape[1] for block in stream))
            except AudioError:
                rest.append(0)
    assert len(rest) == 5 and rest.count(24000) >= 6 - workers


def test_a_process_that_was_ended_while_it_waited_costs_nothing(songs):
    with ReadAhead(1) as readers:
        assert len(list(readers.facts(songs[1:2]))) == 1
        (process,) = readers._processes._all
        process._process.kill()
        process._process.wait()
        (facts,) = readers.facts(songs[1:2])
        assert facts == inspect_audio(songs[1])
        assert process not in readers._processes._all


def test_a_process_that_cannot_be_started_is_an_error_of_every_file(songs, monkeypatch):
    monkeypatch.setattr(readahead.sys, "executable", "/nowhere/python")
    for words, hint in heard(2, [Cut(songs[0]), Cut(songs[1])]):
        assert "could not be read" in words and "--workers 0" in hint


def test_leaving_early_ends_every_process_at_once(songs):
    with ReadAhead(2, held=1) as readers:
        next(next(readers.streams([Cut(songs[0])] * 6)))
        processes = [each._process for each in readers._processes._all]
    # none was waited for until it had read its file
    assert processes and all(process.returncode == -signal.SIGKILL for process in processes)
    assert len(readers._threads) == 2 and not any(one.is_alive() for one in readers._threads)
    assert readers._processes._all == []


def test_leaving_ends_also_a_process_that_is_just_being_started(songs, monkeypatch):
    begins, goes_on, started, put = threading.Event(), threading.Event(), [], []

    class Slow(readahead._Process):
        def __init__(self):
            begins.set()
            goes_on.wait(120)
            super().__init__()
            started.append(self._process)

    monkeypatch.setattr(readahead, "_Process", Slow)
    monkeypatch.setattr(readahead._Supply, "put", lambda self, answers, item: put.append(item))
    readers = ReadAhead(1, held=1)
    with readers:
        threading.Thread(target=lambda: next(readers.streams([Cut(songs[0])])), daemon=True).start()
        assert begins.wait(120)
        threading.Timer(0.2, goes_on.set).start()
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert not any(isinstance(item, np.ndarray) for item in put), "it read on, for nobody"


ORPHANS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are deaf to it
from pathlib import Path
from acestep.data.readahead import Cut, ReadAhead
readers = ReadAhead(2, held=1)
stream = readers.streams([Cut(Path(sys.argv[1]))] * 6)
next(next(stream))
while len(readers._processes._all) < 2:
    time.sleep(0.01)
print(*[each._process.pid for each in readers._processes._all], flush=True)
time.sleep(600)
"""


def is_alive(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@LINUX
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_orphans_are_left(songs, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(songs[0])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2 and all(map(is_alive, children))
    parent.send_signal(how)
    parent.wait(120)
    parent.stdout.close()
    until = time.monotonic() + 120
    while any(map(is_alive, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_alive, children))


def test_cores_are_shared_by_the_processes_of_a_machine(monkeypatch):
    monkeypatch.setattr(readahead.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(readahead.os, "cpu_count", lambda: 64)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert free_cores() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert free_cores() == 7
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert free_cores() == 0


def test_a_file_in_the_folder_one_is_in_is_no_module(songs, tmp_path, monkeypatch):
    (tmp_path / "soundfile.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    (found,) = heard(1, [Cut(songs[1])])
    assert np.array_equal(found, read_audio(songs[1]))
    assert os.getcwd() == str(tmp_path)
