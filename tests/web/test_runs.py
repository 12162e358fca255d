"""A run's folder as pages see it."""

import time

from acestep import events
from acestep.web.job_files import EVENTS, Job
from acestep.web.runs import events_of, runs_in


def test_events_of_a_run_as_far_as_they_can_be_read(tmp_path):
    assert events_of(tmp_path) == []
    step = events.Step(1, 1, 0.5, 1e-4, 1.0)
    (tmp_path / "events.jsonl").write_text(events.to_json(step) + '\n{"event": "st')
    assert events_of(tmp_path) == [step]
    (tmp_path / "events.jsonl").write_text("broken\n\n" + events.to_json(step) + "\n")
    assert events_of(tmp_path) == []


def test_the_audio_that_a_job_made_and_that_is_still_there(tmp_path):
    job = Job(tmp_path, ("generate",), "", time.time(), 1.0)
    assert runs_in(job) == []
    (tmp_path / "a.wav").touch()
    saved = [events.Saved("audio", str(tmp_path / name)) for name in ("gone.wav", "a.wav")]
    (tmp_path / EVENTS).write_text("".join(events.to_json(event) + "\n" for event in saved))
    assert runs_in(job) == [tmp_path / "a.wav"]
