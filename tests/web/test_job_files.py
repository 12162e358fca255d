"""What a job's folder says."""

import pytest

from acestep.errors import RunError
from acestep.web.job_files import HEAVY, JOB, LOG, Job, read_job


def test_heavy_verbs_are_verbs():
    from acestep.config import COMMANDS

    known = set(COMMANDS) | {"evaluate", "sweep"}
    assert known >= HEAVY


def test_the_end_of_a_log_is_shown(tmp_path):
    job = Job(tmp_path, ("models",), "", 1.0, 1.0)
    assert job.log() == ""
    (tmp_path / LOG).write_bytes(b"\xff" + "é".encode() * 30_000 + b"end")
    assert job.log().endswith("end") and len(job.log()) <= 20_000


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 1}', '{"format": 1, "words": [], "created": 1, "place": 1}',
             '{"format": 1, "words": ["a"], "created": "x", "place": 1}', "[1]"]
)  # fmt: skip
def test_what_is_no_job_is_refused(tmp_path, text):
    (tmp_path / JOB).write_text(text)
    with pytest.raises(RunError) as caught:
        read_job(tmp_path)
    assert str(tmp_path) in str(caught.value) and caught.value.hint
