import json

import pytest
from evaluations import HOSTILE, evaluation, numbers

from acestep.errors import RunError
from acestep.judging.layout import Report
from acestep.judging.report import laid_out, read_report, write_report


def written(folder, report):
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def test_a_report_is_read_as_it_was_written(tmp_path):
    report = evaluation(tmp_path, seconds=0.5, text=HOSTILE, prompts=2)
    page = write_report(tmp_path, report)
    assert page == tmp_path / "report.html" and page.stat().st_size > 20_000
    assert (tmp_path / "ab.html").is_file() and (tmp_path / "ab_key.json").is_file()
    assert read_report(tmp_path) == report


def test_the_least_there_can_be_is_a_report(tmp_path):
    least = {"format": 1, "about": {"run": "x"}, "verdict": {"headline": "It cannot be told."}}
    page = write_report(tmp_path, least)
    assert "It cannot be told." in page.read_text(encoding="utf-8")
    assert not (tmp_path / "ab.html").exists()


def test_what_is_not_declared_is_kept(tmp_path):
    report = {**numbers(), "more": {"a": 1}}
    assert read_report(written(tmp_path, report))["more"] == {"a": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b'{"format": 1', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "is not a report"),
        (b"{}", "format: Field required"),
        (b'{"format": 2}', "has format 2, this version reads up to 1"),
        (b'{"format": "one", "about": {}, "verdict": {}}', "format: Input should be a valid int"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(RunError, match=words) as caught:
        read_report(tmp_path)
    assert "report.json" in str(caught.value) and caught.value.hint


def test_a_missing_report_names_the_verb(tmp_path):
    with pytest.raises(RunError, match="No such file") as caught:
        read_report(tmp_path)
    assert "acestep evaluate" in caught.value.hint


def row(file):
    return {"file": file, "adapter": "a", "prompt": "1"}


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("clips", [row("/etc/passwd")], "clips.0.file: .*inside"),
        ("clips", [row("../x.flac")], "clips.0.file: .*inside"),
        ("clips", [row("a\\..\\x")], "clips.0.file: .*inside"),
        ("checkpoints", [{"name": "a", "style": 3}], "checkpoints.0.style: .*dict"),
        ("choice", {"checkpoint": "a", "strength": "much"}, "choice.strength: .*number"),
        ("choice", {"checkpoint": "a", "strength": float("nan")}, "choice.strength: .*finite"),
        ("dataset", {"checks": [{"message": "m", "level": "odd"}]}, "dataset.checks.0.level"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place(tmp_path, part, value, words):
    with pytest.raises(RunError, match=words):
        write_report(tmp_path, {**numbers(), part: value})
    assert not (tmp_path / "report.json").exists()


def test_records_are_frozen(tmp_path):
    report = laid_out(numbers(), tmp_path)
    assert isinstance(report, Report) and report.choice.checkpoint == "epoch_20"
    with pytest.raises(ValueError, match="frozen"):
        report.format = 2
