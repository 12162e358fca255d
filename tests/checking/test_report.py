import json

import numpy as np
from check_sounds import RATE, music

from acestep.checking.finding import Finding
from acestep.checking.report import as_json, make_report, table
from acestep.checking.signal import measure
from acestep.checking.sound import Sound


def report():
    clean = measure(Sound(music(4), RATE, coding="PCM_24"))
    dull = Sound(np.zeros((1, RATE), np.float32), 22_050, 1, "MPEG_LAYER_III")
    return make_report(
        "my {jazz}",
        [("a.wav", 4.0, clean), ("b {0}.mp3", 75.5, measure(dull)), ("gone.wav", 0.0, None)],
        [
            Finding("soft", "info", "a.wav", "it is {soft}", "turn it up"),
            Finding("no-tag", "warning", None, "there is no tag"),
            Finding("unreadable", "error", "gone.wav", "gone.wav does not exist"),
        ],
    )


def test_the_table():
    lines = table(report()).splitlines()
    assert lines[0] == "my {jazz}: 3 songs, 1.3 minutes, score 76 of 100"
    assert lines[2].split() == [
        "song", "score", "length", "kHz", "bits", "LUFS", "dBTP", "ends", "at", "findings",
    ]  # fmt: skip
    assert lines[3].split()[:6] == ["a.wav", "98", "0:04", "48", "24", f"{LOUDNESS:.1f}"]
    assert "1:15" in lines[4] and "22.05" in lines[4] and "lossy" in lines[4]
    assert lines[5].split() == ["gone.wav", "60", "0:00", "unreadable"]
    assert lines[7:] == [
        "error    gone.wav: gone.wav does not exist",
        "warning  there is no tag",
        "info     a.wav: it is {soft}",
        "           → turn it up",
    ]


def test_columns_are_aligned():
    rows = table(report()).splitlines()[2:6]
    end = rows[0].index("score") + len("score")
    assert [row[:end].split()[-1] for row in rows] == ["score", "98", "100", "60"]


def test_json_holds_all_of_it():
    value = json.loads(json.dumps(as_json(report()), allow_nan=False))
    assert (value["score"], value["errors"], value["warnings"], value["infos"]) == (76, 1, 1, 1)
    assert value["findings"][0] == {
        "code": "unreadable", "level": "error", "song": "gone.wav",
        "message": "gone.wav does not exist", "advice": "", "value": None,
    }  # fmt: skip
    first, _, last = value["songs"]
    assert first["measured"]["rate"] == RATE and first["score"] == 98
    assert last == {"song": "gone.wav", "score": 60, "seconds": 0.0, "measured": None}


def test_a_dataset_without_songs():
    assert table(make_report("empty", [], [])) == "empty: 0 songs, 0.0 minutes, score 0 of 100"


LOUDNESS = measure(Sound(music(4), RATE)).loudness
