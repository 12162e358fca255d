"""What can be set of a search for settings: in its file, or as a flag, which then counts."""

from pathlib import Path
from typing import Literal

from acestep.configs.base import Config, knob, output
from acestep.knobs import Positional


class SweepConfig(Config):
    """Search for the best training settings: many runs, each in a process of its own."""

    sweep: Positional[Path] = knob(..., "File in TOML: what is trained on, what is tried.")
    tensors: Path | None = knob(None, "Folder that preprocess wrote (relative to the file).")
    output: Path | None = output(
        None, "Folder for the trials and the tables (default: named like the file, beside it)."
    )
    trials: int | None = knob(
        None, "How many settings are tried in all (default: 20; of a grid, all).", ge=1
    )
    parallel: int | None = knob(
        None, "Trials at the same time (default: one a GPU, or one).", ge=1, le=64
    )
    judge: Literal["loss", "evaluate"] = knob(
        "loss",
        "loss: held-out loss against the base's; evaluate: the style distance, after each trial.",
    )
    sampler: Literal["tpe", "random", "grid"] = knob(
        "tpe", "How settings are chosen: learning from trials, by chance, or every combination."
    )
    pruner: Literal["median", "hyperband", "none"] = knob(
        "median", "Stop trials whose held-out loss is worse than others' at the same epoch."
    )
    seed: int = knob(42, "Seed of the choice of settings.", ge=0, lt=2**32)
