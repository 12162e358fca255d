"""One job in its own process: the exit code is written down, and it never runs twice."""

import json
import subprocess
import sys
import time

from acestep.web.job_files import END, EVENTS, Job, read_job


def make_job(folder, *words) -> Job:
    folder.mkdir()
    job = Job(folder, words, "", time.time(), 1.0)
    job.write()
    return job


def run(job: Job) -> int:
    words = [sys.executable, "-m", "acestep.web.runner", str(job.folder)]
    return subprocess.run(words, timeout=600).returncode


def test_it_runs_once_and_says_how_it_ended(tmp_path):
    job = make_job(tmp_path / "job", "models", "--quiet")
    assert job.state() == "waiting"
    assert run(job) == 0
    end = (job.folder / END).read_text()
    assert json.loads(end)["code"] == 0 and job.state() == "done"
    before = (job.folder / EVENTS).read_text()
    assert run(job) == 0
    assert (job.folder / END).read_text() == end
    assert (job.folder / EVENTS).read_text() == before


def test_a_command_that_does_not_exist_fails_with_its_words(tmp_path):
    job = make_job(tmp_path / "job", "sing")
    run(job)
    assert json.loads((job.folder / END).read_text())["code"] == 2
    assert json.loads((job.folder / EVENTS).read_text())["event"] == "failed"


def test_a_job_comes_back_from_its_file_as_it_was(tmp_path):
    job = make_job(tmp_path / "job", "generate", "--caption", 'so "soft" <b>\n오늘')
    assert read_job(job.folder) == job
