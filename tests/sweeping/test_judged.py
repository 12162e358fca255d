"""The score of an evaluation's report."""

import json

import pytest

from acestep.errors import RunError
from acestep.sweeping.judged import read_score


def write(folder, choice):
    (folder / "report.json").write_text(json.dumps({"choice": choice}))


def candidate(checkpoint, score, out=None, strength=1.0):
    return {
        "checkpoint": checkpoint,
        "strength": strength,
        "score": 9.0,
        "style_left": score,
        "out": out,
    }


def test_the_score_is_that_of_the_recommended_candidate(tmp_path):
    rows = [candidate("epoch_10", 0.4), candidate("epoch_10", 0.3, strength=1.2),
            candidate("epoch_20", 0.1, "copies")]  # fmt: skip
    write(tmp_path, {"checkpoint": "epoch_10", "strength": 1.2, "candidates": rows})
    heard = read_score(tmp_path)
    assert heard.score == 0.3 and heard.facts == {"checkpoint": "epoch_10", "strength": 1.2}


def test_nothing_recommended_and_no_report_are_failures(tmp_path):
    with pytest.raises(RunError, match="report.json"):
        read_score(tmp_path)
    rows = [candidate("epoch_10", 0.4, "it copies song 3")]
    write(tmp_path, {"checkpoint": None, "strength": None, "candidates": rows})
    with pytest.raises(RunError, match="none of its checkpoints: it copies song 3"):
        read_score(tmp_path)
    for broken in ("", "[]", "{}", '{"choice": null}', '{"choice": {"candidates": 3}}'):
        (tmp_path / "report.json").write_text(broken)
        with pytest.raises(RunError):
            read_score(tmp_path)
