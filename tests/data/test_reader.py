"""What a process that reads says to its tasks."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from acestep.data.audio import RATE, inspect_audio, read_audio, write_audio
from acestep.data.reader import serve


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "it's a “song” 🎵.flac"
    write_audio(path, np.random.default_rng(0).normal(0, 0.1, (2, 12 * 44100)), 44100)
    return path


def told(*tasks):
    """The answers: heads, with arrays for the samples that follow them."""
    sent, answers = io.BytesIO(), io.BytesIO()
    sent.writelines(json.dumps(task).encode() + b"\n" for task in tasks)
    sent.seek(0)
    serve(sent, answers)
    answers.seek(0)
    heads = []
    while line := answers.readline():
        head = json.loads(line)
        if "samples" in head:
            block = np.frombuffer(answers.read(head["samples"] * 8), np.float32)
            head = block.reshape(2, -1)
        heads.append(head)
    return heads


def test_facts_survive_the_way(song):
    facts, end = told({"inspect": str(song)})
    assert facts["facts"] == vars(inspect_audio(song)) and end == {"end": True}


def test_blocks_are_those_of_reading(song):
    *blocks, end = told({"read": str(song), "start": 1.5, "seconds": 10.5})
    assert end == {"end": True} and [b.shape for b in blocks] == [(2, 480000), (2, 24000)]
    wanted = read_audio(song, start=1.5, seconds=10.5)
    assert np.array_equal(np.concatenate(blocks, axis=1), wanted)


def test_an_error_keeps_its_words_and_the_next_task_is_done(song, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    error, *rest = told({"read": str(bad), "start": 0, "seconds": None}, {"inspect": str(song)})
    assert "bad.wav is empty" in error["error"] and "export" in error["hint"]
    assert [list(head) for head in rest] == [["facts"], ["end"]]


def test_the_process_ends_with_its_input_and_knows_no_torch(song):
    code = (
        "import sys; sys.argv = ['reader']; import acestep.data.reader as r; r.main();"
        "print(sorted({'torch', 'pydantic'} & sys.modules.keys()), file=sys.stderr)"
    )
    task = {"read": str(song), "start": 0, "seconds": 1.0}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(task).encode() + b"\n",
        capture_output=True,
        timeout=180,
    )
    assert done.returncode == 0 and done.stderr == b"[]\n"
    assert len(done.stdout) == len(b'{"samples": 48000}\n{"end": true}\n') + RATE * 8
