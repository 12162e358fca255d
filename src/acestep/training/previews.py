"""Previews: what the adapter plays while it is being trained, at the same prompts and seeds.

A piece is made as ``generate`` makes it from a checkpoint of the same step: prompts go through the
same encoders (once, at the start, after which these are dropped), and the adapter stands on the
bare base as a finished one does. Training does not notice: nothing of its state is touched.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import torch
from torch import nn

from acestep.adapters.adapter import Adapter
from acestep.adapters.attach import bare
from acestep.adapters.files import trained_adapter
from acestep.adapters.mount import mount
from acestep.adapters.stack import AdaptedParts
from acestep.errors import AceStepError
from acestep.events import Event, Notice, Sample
from acestep.pictures import draw_spectrogram
from acestep.playing import Piece, Rendition, Scene, play_all
from acestep.render import Sounds, set_scene
from acestep.training.checkpoint import Progress
from acestep.training.prompts import Request, preview_requests
from acestep.training.session import Session

SUFFIX = ".flac"
BASE = Progress(0, 0)
FAILURES = (AceStepError, torch.OutOfMemoryError, OSError)  # what a run survives
_NAME = "preview"


class Previews:
    """The previews of a run. The main process makes them while the others wait for it.

    ``asked`` says whether a stop was asked for: a piece is then left unfinished, and made when the
    run goes on.
    """

    def __init__(self, session: Session, asked: Callable[[], bool]) -> None:
        self._session = session
        self._asked = asked
        self._parts = TrainedParts(session)
        self._scenes: list[tuple[Request, Scene]] = []
        self._known: list[Sample] = []

    def begin(self) -> Iterator[Event]:
        """Encode the prompts and make what a run should have by now: the base's previews, and those
        of the checkpoint that it goes on from. What is there already is not made again."""
        session = self._session
        if not session.config.preview_every:
            return
        if session.processes.is_main:
            log = session.run.read_events()
            self._known = [event for event in log if isinstance(event, Sample)]
            yield from self._encode()
            yield from self._play_all(BASE)
            if session.progress.step and self.are_due(session.progress):
                yield from self._play_all(session.progress)
            self._known = []
        session.processes.wait()

    def are_due(self, progress: Progress) -> bool:
        """Whether this step ends an epoch that is listened to, or the run."""
        every = self._session.config.preview_every
        return every > 0 and self._session.plan.ends_epoch(progress.step, every)

    def make(self, progress: Progress) -> Iterator[Event]:
        """Play every prompt with the adapter as it is now."""
        if self._session.processes.is_main:
            yield from self._play_all(progress)
        self._session.processes.wait()

    def _encode(self) -> Iterator[Event]:
        session = self._session
        notices: list[Event] = []
        try:
            requests = preview_requests(
                session.config, session.split.train, session.manifest.dataset
            )
            with same_random_state(session.device):  # building modules draws weights
                for request in requests:
                    scene = _last(set_scene(self._parts, request.config, Sounds()), notices)
                    self._scenes.append((request, scene))
            yield from notices
        except FAILURES as error:
            self._scenes = []
            yield Notice(f"there will be no previews: {_reason(error)}")
        finally:
            self._parts.free()

    def _play_all(self, progress: Progress) -> Iterator[Event]:
        """All prompts at this step; after a failure the others are left out, and it is said."""
        session = self._session
        adapter = trained_adapter(session.transformer, {}) if progress.step else None
        missing = []
        for number, (request, scene) in enumerate(self._scenes, 1):
            name = request.file_name(number) + SUFFIX
            file = session.run.sample_folder(progress.epoch) / name
            if not self._is_made(file, request, progress):
                missing.append((file, request, Piece(request.config, scene)))
        try:
            pieces = [piece for _, _, piece in missing]
            with closing(self._play(pieces, adapter)) as renditions:
                for (file, request, _), rendition in zip(missing, renditions, strict=False):
                    yield _keep(file, request, rendition, progress)
        except FAILURES as error:
            who = f"epoch {progress.epoch}" if progress.step else "the base"
            yield Notice(f"no preview of {who}, training goes on: {_reason(error)}")
        finally:
            self._parts.rest()

    def _play(
        self, pieces: Sequence[Piece], adapter: Adapter | None
    ) -> Generator[Rendition, None, None]:
        """The pieces in order; those that are not finished when a stop is asked for are left."""
        with undisturbed(self._session.transformer, self._session.device):
            if adapter is not None:
                mount(self._session.transformer, adapter, _NAME)
            steps = play_all(self._parts, pieces)
            while not self._asked():
                item = next(steps, None)
                if item is None:
                    return
                if isinstance(item, Rendition):
                    yield item

    def _is_made(self, file: Path, request: Request, progress: Progress) -> bool:
        config = request.config
        wanted = (file.name, progress.step, config.caption, config.seed)
        made = ((Path(s.path).name, s.step, s.caption, s.seed) for s in self._known)
        return file.is_file() and wanted in made


class TrainedParts(AdaptedParts):
    """The parts of a base model whose transformer is the one being trained, which stays in place.

    On an accelerator the others are there only while they are needed.
    """

    def __init__(self, session: Session) -> None:
        offload = session.device.type != "cpu"
        super().__init__(session.model, session.device, session.dtype, offload=offload)
        self._trained = session.transformer

    def transformer(self) -> nn.Module:
        return self._trained

    def rest(self) -> None:
        """Leave the device to training."""
        self._put_away(except_for="")


@contextmanager
def undisturbed(transformer: nn.Module, device: torch.device) -> Iterator[None]:
    """The bare base in eval mode, to mount adapters on.

    Afterwards the adapter in training, the mode and the random state are as they were.
    """
    with same_random_state(device), bare(transformer):
        was_training = transformer.training
        transformer.eval()
        try:
            yield
        finally:
            transformer.train(was_training)


def same_random_state(device: torch.device) -> AbstractContextManager[None]:
    """What is drawn inside leaves torch's generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _last(events: Generator[Event, None, Scene], seen: list[Event]) -> Scene:
    """What a generator returns, its events aside."""
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return end.value


def _keep(file: Path, request: Request, rendition: Rendition, progress: Progress) -> Sample:
    """Write the audio and its picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rendition.save(file)
    picture = file.with_suffix(".png")
    draw_spectrogram(picture, rendition.audio)
    config = request.config
    place = (progress.step, progress.epoch, round(rendition.seconds, 3), request.kind)
    return Sample(str(file), str(picture), config.caption, config.seed, *place)


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
