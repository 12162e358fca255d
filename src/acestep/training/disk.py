"""What a run will write: checkpoints, its log, previews."""

import shutil
from dataclasses import dataclass

from acestep.config import TrainConfig
from acestep.data.files import nearest_folder, size_text
from acestep.knobs import counted
from acestep.render import DEFAULT_SECONDS
from acestep.speed.memory import MOMENTS

WEIGHTS = 4  # bytes of a trained parameter in a checkpoint, which is float32
BESIDE = 8_000  # bytes of a checkpoint's other files
PER_STEP = 320  # bytes of a step in the log and for TensorBoard, its share of the estimates in it
AUDIO_PER_SECOND = 110_000  # bytes of a preview: FLAC in stereo
PICTURE = 150_000  # bytes of its spectrogram
PROMPTS = 3  # without captions of the user's


@dataclass(frozen=True)
class Disk:
    """Predicted bytes of a run folder. ``free`` is what its disk has, None where it is not here."""

    checkpoints: int
    each: int
    log: int
    previews: int
    free: int | None = None

    @property
    def total(self) -> int:
        """All of it together."""
        return self.checkpoints * self.each + self.log + self.previews

    @property
    def fits(self) -> bool:
        """Whether there is room for it, as far as that is known."""
        return self.free is None or self.total < self.free

    @property
    def sentence(self) -> str:
        """The prediction in words."""
        parts = [f"{counted(self.checkpoints, 'checkpoint')} of {size_text(self.each)}"]
        parts += [f"log {size_text(self.log)}"]
        parts += [f"previews {size_text(self.previews)}"] * (self.previews > 0)
        free = "" if self.free is None else f"; {size_text(self.free)} are free"
        return f"{size_text(self.total)} ({', '.join(parts)}{free})"


def predict_disk(config: TrainConfig, adapter: int, steps: int, *, here: bool) -> Disk:
    """The disk that a run of so many steps takes which trains so many parameters of an adapter.

    With ``here`` the free space is that of the disk which ``config.output`` is on.
    """
    checkpoints = -(-config.epochs // config.save_every) + (config.patience > 0)
    return Disk(
        checkpoints=checkpoints,
        each=adapter * (WEIGHTS + MOMENTS[config.optimizer]) + BESIDE,
        log=steps * PER_STEP,
        previews=count_previews(config) * preview_bytes(config),
        free=shutil.disk_usage(nearest_folder(config.output)).free if here else None,
    )


def count_previews(config: TrainConfig) -> int:
    """How many pieces a run plays: its prompts each time, and before the first step."""
    if config.preview_every == 0:
        return 0
    times = 1 + -(-config.epochs // config.preview_every)
    return times * (len(config.preview) or PROMPTS)


def preview_bytes(config: TrainConfig) -> int:
    """The files of one preview."""
    return round((config.preview_seconds or DEFAULT_SECONDS) * AUDIO_PER_SECOND) + PICTURE
