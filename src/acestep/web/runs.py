"""What lies in a run's folder, for pages that watch it."""

from pathlib import Path

from acestep.errors import RunError
from acestep.events import Event
from acestep.training.run import RunFolder
from acestep.web.follow import Followed
from acestep.web.job_files import Job


def events_of(run: Path) -> list[Event]:
    """The events of a run so far; none where there is no run, or its log is damaged."""
    try:
        return RunFolder(run).read_events()
    except RunError:
        return []


def runs_in(job: Job) -> list[Path]:
    """The audio files that a job has made and that are still there."""
    followed = Followed(job)
    followed.read_on()
    return [path for path in followed.files("audio") if path.is_file()]
