"""What can be set of a training stage; each stage adds its own knobs to :class:`StageConfig`."""

from pathlib import Path

from acestep.config import Config, Device, knob


class StageConfig(Config):
    """What all stages share: how long, where, on what."""

    minutes: float = knob(10.0, "How long this run may take, everything included.", gt=0)
    steps: int | None = knob(None, "Stop at this step, even if there is time left.", ge=1)
    resume: Path = knob(Path(".mini"), "Training folder: begun if new, else continued.")
    finish: bool = knob(False, "Let the learning rate fall to 2 % in the last 40 % of this run.")
    threads: int = knob(1, "CPU threads.", ge=1)
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    seed: int = knob(0, "Seed of everything random.", ge=0)
    save_minutes: float = knob(3.0, "How often to evaluate and save.", gt=0)
    average: float = knob(0.998, "Decay of the weights' running mean, which is exported.", lt=1)
    warmup: int = knob(50, "Steps in which the learning rate rises.", ge=0)
    clip: float = knob(2.0, "Longest gradient (its norm).", gt=0)
