"""The queue with real processes: order, cancel, kill, and servers that die."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from studio_server import PATIENCE

from acestep.data.files import write_json
from acestep.errors import DatasetError, RunError
from acestep.web.job_files import END, EVENTS, PROCESS, Job
from acestep.web.jobs import Jobs

# Four minutes of music: what is still under way when a test has looked, on any machine
LONG = ["generate", "--duration", "240", "--caption", "x", "-o"]


@pytest.fixture
def jobs(tmp_path):
    queue = Jobs(tmp_path / "jobs", tmp_path)
    yield queue
    for job in queue.all():
        queue.kill(job.id)


def until(jobs: Jobs, job: Job, *states: str) -> Job:
    """Let the queue go on until a job is in one of the states."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        jobs.advance()
        if job.state() in states:
            return job
        time.sleep(0.1)
    raise AssertionError(f"{job.words} is {job.state()} ({job.code()}): {job.log()}")


def until_both_run(job: Job) -> list[psutil.Process]:
    """Wait until a job's verb is written down beside its runner; runner and verb."""
    deadline = time.monotonic() + PATIENCE
    while len(found := job.processes()) < 2:
        assert time.monotonic() < deadline and job.code() is None, job.log()
        time.sleep(0.05)
    return found


def said(job: Job) -> list[dict]:
    return [json.loads(line) for line in (job.folder / EVENTS).read_text().splitlines()]


def test_a_job_ends_as_its_verb_does(jobs, tmp_path):
    good = until(jobs, jobs.submit(["models"]), "done", "failed")
    assert good.state() == "done" and said(good)[-1]["event"] == "finished"
    assert good.ended() is not None and good.processes() == []
    bad = until(jobs, jobs.submit(["check", str(tmp_path / "no.json")]), "done", "failed")
    assert bad.state() == "failed" and said(bad)[-1]["error"] == "DatasetError"


def test_heavy_jobs_wait_for_each_other_and_light_ones_do_not(jobs):
    first = jobs.submit([*LONG, "a.wav"])
    second, light = jobs.submit([*LONG, "b.wav"]), jobs.submit(["models"])
    assert first.state() == "running" and second.state() == "waiting"
    until(jobs, light, "done")
    assert second.state() == "waiting"
    jobs.cancel(first.id)
    until(jobs, first, "stopped")
    until(jobs, second, "running")


def test_waiting_jobs_move_and_are_cancelled_without_starting(jobs):
    running = jobs.submit([*LONG, "a.wav"])
    one, two, three = (jobs.submit([*LONG, f"{n}.wav"], title=f"{n}") for n in range(3))
    jobs.move(three.id, -2)
    assert [job.title for job in jobs.all()][1:] == ["2", "0", "1"]
    jobs.move(three.id, 99)
    assert [job.title for job in jobs.all()][1:] == ["0", "1", "2"]
    with pytest.raises(RunError, match="does not wait"):
        jobs.move(running.id, 1)
    jobs.cancel(two.id)
    assert two.state() == "stopped" and not (two.folder / PROCESS).exists()
    with pytest.raises(RunError, match="has not ended"):
        jobs.remove(one.id)
    jobs.remove(two.id)
    assert [job.title for job in jobs.all()][1:] == ["0", "2"]


def test_a_killed_server_loses_nothing_and_the_next_one_goes_on(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from acestep.web.jobs import Jobs\n"
        "jobs = Jobs(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "for name in 'ab': jobs.submit(['generate', '--duration', '8', '-o', name + '.wav'])\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "jobs"), str(tmp_path)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdout.readline() == "ready\n"
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    jobs = Jobs(tmp_path / "jobs", tmp_path)
    first, second = jobs.all()
    assert first.state() in ("running", "done") and second.state() == "waiting"
    until(jobs, first, "done")
    until(jobs, second, "done")
    assert (tmp_path / "a.wav").exists() and (tmp_path / "b.wav").exists()


def test_a_job_that_was_killed_is_lost_and_can_be_done_again(jobs):
    job = jobs.submit([*LONG, "a.wav"])
    for process in until_both_run(job):
        process.kill()
    until(jobs, job, "lost")
    again = jobs.again(job.id)
    assert again.words == job.words
    until(jobs, again, "running")
    jobs.kill(again.id)
    assert again.state() == "failed"


def test_a_pid_that_is_anothers_by_now_is_not_taken_for_the_job(jobs):
    job = jobs.submit(["models"])
    until(jobs, job, "done")
    (job.folder / END).unlink()
    began = psutil.Process().create_time()
    record = {"pid": os.getpid(), "began": began}
    write_json(job.folder / PROCESS, {"runner": {**record, "began": began - 50}})
    assert job.state() == "lost"
    write_json(job.folder / PROCESS, {"runner": record})
    assert job.state() == "running"
    for damaged in ("{}", "[]", "", '{"runner": 1, "verb": {"pid": "x", "began": null}}'):
        (job.folder / PROCESS).write_text(damaged)
        assert job.state() == "lost"


def test_a_job_that_has_ended_is_not_killed_though_its_runner_still_exits(jobs):
    job = jobs.submit(["models"])
    until(jobs, job, "done")
    began = psutil.Process().create_time()
    write_json(job.folder / PROCESS, {"runner": {"pid": os.getpid(), "began": began}})
    assert job.processes() == [] and jobs.cancel(job.id) and jobs.kill(job.id).state() == "done"


def test_a_training_goes_on_where_it_was(jobs, tmp_path):
    job = jobs.submit(["train", str(tmp_path / "no"), "-o", "run"], title="jazz")
    until(jobs, job, "failed")
    again = jobs.again(job.id)
    assert again.words == (*job.words, "--resume") and again.title == "jazz"
    until(jobs, again, "failed")
    assert jobs.again(again.id).words == again.words


@pytest.mark.parametrize("id", ["", "..", "../jobs", "no", "/etc"])
def test_a_job_that_is_not_there(jobs, id):
    with pytest.raises(RunError, match="there is no job"):
        jobs.get(id)


def test_two_queues_on_a_folder_start_a_job_once(jobs, tmp_path):
    other = Jobs(jobs.folder, tmp_path)
    job = jobs.submit(["models"])
    for _ in range(5):
        other.advance()
        jobs.advance()
    until(jobs, job, "done")
    assert len([event for event in said(job) if event["event"] == "finished"]) == 1


def test_damaged_folders_are_passed_over(jobs):
    for name, text in (("a", "{"), ("b", '{"format": 9}'), ("c", "[]")):
        (jobs.folder / name).mkdir()
        (jobs.folder / name / "job.json").write_text(text)
    assert jobs.all() == []
    assert Path(jobs.folder).is_dir()


def test_a_verb_whose_runner_was_killed_still_counts_and_can_be_stopped(jobs):
    job, next = jobs.submit([*LONG, "a.wav"]), jobs.submit([*LONG, "b.wav"])
    runner, verb = until_both_run(job)
    runner.kill()
    deadline = time.monotonic() + PATIENCE
    while job.processes() != [verb]:
        assert time.monotonic() < deadline, job.processes()
        time.sleep(0.05)
    jobs.advance()
    assert job.state() == "running" and next.state() == "waiting"
    jobs.cancel(job.id)
    until(jobs, job, "lost")
    until(jobs, next, "running")


def test_a_job_that_is_cancelled_as_it_starts_never_ends_unstopped(jobs):
    """Whoever asks at once, while the process is just beginning, is heard all the same."""
    for _ in range(3):
        job = jobs.submit([*LONG, "a.wav"])
        jobs.cancel(job.id)
        until(jobs, job, "stopped")
        assert job.processes() == []


def test_a_full_disk_is_said(jobs, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match="No space left on device"):
        jobs.submit(["models"])
    monkeypatch.undo()
    until(jobs, jobs.submit(["models"]), "done")
