"""What a page shows of its job, in all its states; nothing of it is markup."""

import time

import pytest

from acestep.data.files import write_json
from acestep.events import Failed, Finished, Progress, Started, to_json
from acestep.web.job_files import END, EVENTS, PROCESS, Job
from acestep.web.panel import status_html
from acestep.web.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open([tmp_path])


def make(workspace: Workspace, name: str, *events, code: int | None = None, title: str = "") -> Job:
    job = Job(
        workspace.jobs.folder / name, ("train", "t"), title, time.time(), time.time(), "train"
    )
    job.folder.mkdir()
    job.write()
    lines = "".join(to_json(event) + "\n" for event in events)
    (job.folder / EVENTS).write_text(lines, encoding="utf-8")
    if code is not None:
        write_json(job.folder / PROCESS, {})
        write_json(job.folder / END, {"code": code, "ended": time.time()})
    return job


def test_progress_is_a_bar_that_can_be_read_aloud(workspace):
    job = make(workspace, "a", Progress("train", 1, 4, "x"), Finished("train", "runs/<x>"), code=0)
    html = status_html(workspace, job, "en")
    assert 'role="progressbar"' in html and 'aria-valuenow="100"' in html
    assert "done" in html and "runs/&lt;x&gt;" in html
    assert "완료" in status_html(workspace, job, "ko")


def test_a_failure_shows_message_and_hint_where_it_was_ordered(workspace):
    event = Failed("RunError", "the loss of <script>alert(1)</script> is NaN", "lower the rate")
    html = status_html(workspace, make(workspace, "a", Started("train"), event, code=1), "en")
    assert "&lt;script&gt;" in html and "<script>" not in html
    assert 'role="alert"' in html and "lower the rate" in html


def test_a_crash_is_explained_without_a_traceback(workspace):
    job = make(workspace, "a", Started("train"), code=1)
    (job.folder / "log.txt").write_text("Traceback (most recent call last):\nKeyError: 'x'")
    html = status_html(workspace, job, "en")
    assert "Traceback" not in html and "log" in html


def test_who_waits_is_told_for_whom(workspace):
    import os

    import psutil

    running = make(workspace, "a", title="<night> training")
    born = {"pid": os.getpid(), "began": psutil.Process().create_time()}
    write_json(running.folder / PROCESS, {"runner": born})
    html = status_html(workspace, make(workspace, "b"), "en")
    assert "waiting for" in html and "&lt;night&gt; training" in html
    assert 'data-state="waiting"' in html
    assert "기다립니다" in status_html(workspace, make(workspace, "c"), "ko")
