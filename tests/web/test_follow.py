"""What a job has said so far, in words."""

import time

import pytest

from acestep.data.files import write_json
from acestep.events import (
    Estimate,
    Failed,
    Finished,
    Progress,
    Saved,
    Started,
    Step,
    Stopped,
    to_json,
)
from acestep.web.follow import KEPT, Followed, Following, progress_text, trouble
from acestep.web.job_files import END, EVENTS, PROCESS, Job


@pytest.fixture
def job(tmp_path):
    one = Job(tmp_path / "job", ("train", "tensors"), "jazz", time.time(), 1.0)
    one.folder.mkdir()
    one.write()
    return one


def say(job: Job, *events, end: str = "\n") -> None:
    with (job.folder / EVENTS).open("a", encoding="utf-8") as file:
        file.write("\n".join(map(to_json, events)) + end)


def ended(job: Job, code: int) -> None:
    write_json(job.folder / PROCESS, {})
    write_json(job.folder / END, {"code": code, "ended": time.time()})


def step(number: int) -> Step:
    return Step(number, 1, 0.5, 1e-4, 1.0)


def test_events_are_read_on_and_a_half_line_waits(job):
    followed = Followed(job)
    assert followed.read_on() == []
    say(job, Started("train", {"total_steps": 4}), step(1))
    assert len(followed.read_on()) == 2
    line = to_json(step(2))
    say(job, end=line[:20])
    assert followed.read_on() == []
    say(job, end=line[20:] + "\n")
    assert followed.read_on() == [step(2)]
    assert [type(event).__name__ for event in followed.events] == ["Started", "Step", "Step"]
    assert followed.share() == 0.5


def test_what_is_no_event_is_passed_over(job):
    lines = ["", "loading …", "{}", "[1]", '{"event": "step"}', '{"event": "sing"}', "\ufffd\x00"]
    (job.folder / EVENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (job.folder / EVENTS).open("ab") as file:
        file.write(b"\xff\xfe\n")
    say(job, step(1))
    assert Followed(job).read_on() == [step(1)]


def test_a_name_with_a_line_separator_in_it_stays_one_event(job):
    event = Progress("scan", 1, 2, "so\u2028ng\x85\u2029\x1c.wav")
    say(job, event)
    assert Followed(job).read_on() == [event]


def test_how_far_it_is(job):
    say(job, Started("train", {"total_steps": 100}))
    followed = Followed(job)
    followed.read_on()
    assert (followed.share(), progress_text(followed, "en")) == (0.0, "")
    say(job, Progress("train", 1, 4, "song <b>.wav"))
    followed.read_on()
    assert (followed.share(), progress_text(followed, "en")) == (0.25, "1/4 · song <b>.wav")
    say(job, step(40), Estimate(40, 100, 2.0, 120.0), step(50))
    followed.read_on()
    assert followed.share() == 0.5
    for language, left in (("en", "1 min 40 s left"), ("ko", "남음")):
        text = progress_text(followed, language)
        assert "step 50" in text and "0.5000" in text and left in text, text


@pytest.mark.parametrize(
    ("event", "text"),
    [(Finished("train", "runs/x"), "runs/x"), (Stopped("train", "runs/x", "--resume"), "runs/x"),
     (Failed("RunError", "it diverged\nat step 3", "lower it"), "it diverged"),
     (Failed("RunError", "", ""), "")],
)  # fmt: skip
def test_how_it_ended(job, event, text):
    say(job, step(1), event)
    followed = Followed(job)
    followed.read_on()
    assert progress_text(followed, "en") == text
    assert followed.share() == (1.0 if isinstance(event, Finished) else 0.0)
    assert followed.made == ("runs/x" if isinstance(event, Finished) else "")


def test_what_it_saved(job):
    say(job, Saved("audio", "a.flac"), Saved("dataset", "d.json"), Saved("audio", "b.flac"))
    followed = Followed(job)
    followed.read_on()
    assert [path.name for path in followed.files("audio")] == ["a.flac", "b.flac"]


def test_a_job_that_could_not_say_what_went_wrong(job):
    followed = Followed(job)
    assert trouble(followed, job.state(), "en") is None
    ended(job, -9)
    message, hint = trouble(followed, job.state(), "en") or ("", "")
    assert "signal 9" in message and "memory" in hint
    ended(job, 1)
    message, hint = trouble(followed, job.state(), "ko") or ("", "")
    assert "오류" in message and "로그" in hint
    ended(job, 0)
    assert trouble(followed, job.state(), "en") is None
    say(job, Failed("RunError", "it diverged", "lower it"))
    followed.read_on()
    assert trouble(followed, job.state(), "en") == ("it diverged", "lower it")
    assert trouble(followed, "running", "en") is None  # more may be read of it


def test_many_events_are_not_read_again_for_every_look(job):
    say(job, Started("train", {"total_steps": 50_000}), *map(step, range(1, 50_001)))
    following = Following()
    whole = seconds(lambda: following.of(job))
    assert following.of(job).share() == 1.0
    assert min(seconds(lambda: following.of(job)) for _ in range(5)) < whole / 50
    say(job, Finished("train", "runs/x"))
    assert Following().last_words(job, "en") == "runs/x"
    assert min(seconds(lambda: Following().last_words(job, "en")) for _ in range(5)) < whole / 50


def seconds(work) -> float:
    """Computing time of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_only_some_jobs_are_remembered(tmp_path):
    following = Following()
    jobs = [Job(tmp_path / f"{n}", ("scan",), "", 1.0, 1.0) for n in range(KEPT + 3)]
    for job in jobs:
        job.folder.mkdir()
        say(job, Finished("scan", job.id))
        assert following.of(job).made == job.id
    assert following.of(jobs[0]).made == "0"
    assert len(vars(following)["_known"]) == KEPT
