"""Tables of trials, and a command line that means what a trial was."""

import csv
import io
import shlex
from pathlib import Path

from acestep.flags import parse
from acestep.sweeping.study import Row
from acestep.sweeping.table import as_csv, as_json, as_markdown, as_text, best_row, command

ROWS = [
    Row(0, "done", {"rank": 8, "learning_rate": 3e-4}, -0.1, {10: 0.0}, {"epoch": 40}),
    Row(1, "failed", {"rank": 16, "learning_rate": 1e-3}, None, {}, {"reason": "a | b\nc"}),
    Row(2, "done", {"rank": 4, "learning_rate": 1e-4}, -0.3, {}, {"epoch": 20, "seconds": 60}),
    Row(3, "running", {"rank": 4, "learning_rate": 1e-4}, None, {}, {}),
]  # fmt: skip
KNOBS = ["rank", "learning_rate"]


def test_the_best_is_first_and_failures_last():
    assert best_row(ROWS) == ROWS[2] and best_row(ROWS[1:2]) is None and best_row([]) is None
    numbers = [line.split()[0] for line in as_text(ROWS, KNOBS).splitlines()[1:]]
    assert numbers[:4] == ["2", "0", "1", "c"] or numbers[:3] == ["2", "0", "1"]


def test_tables_hold_everything():
    page = as_markdown(ROWS, KNOBS, "# jazz")
    assert page.startswith("# jazz") and "a \\| b c" in page and "| 2 | done | -0.3000 |" in page
    rows = list(csv.DictReader(io.StringIO(as_csv(ROWS, KNOBS))))
    assert [row["trial"] for row in rows] == ["2", "0", "1", "3"]
    assert rows[1]["learning_rate"] == "0.0003" and rows[2]["reason"] == "a | b\nc"
    record = as_json(ROWS[0], Path("trials/0000"))
    assert record["held_out"] == {"10": 0.0} and record["epoch"] == 40 and record["score"] == -0.1


def test_a_command_line_is_understood_and_means_the_settings():
    settings = {"rank": 8, "targets": "it's|mlp", "learning_rate": 3e-4, "auto": False}
    _, name, *words = shlex.split(command(Path("my tensors"), Path("out"), settings))
    config = parse(name, words).config
    assert {key: vars(config)[key] for key in settings} == settings
    assert config.tensors == Path("my tensors") and config.output == Path("out")
