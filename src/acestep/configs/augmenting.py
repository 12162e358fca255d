"""What can be set of making variants of songs."""

from pathlib import Path

from acestep.configs.base import Config, Device, Precision, knob, output
from acestep.knobs import Positional


class AugmentConfig(Config):
    """Add variants of a dataset's songs: a middle section made anew, pitch and tempo moved."""

    dataset: Positional[Path] = knob(..., "Dataset file; variants are added to it.")
    output: Path | None = output(
        None, "Folder for the variants' audio (default: variants, beside the dataset)."
    )
    variants: int = knob(
        1, "Variants of each song by repaint; 0: none.", ge=0, le=100, recommended=(0, 3)
    )
    section: float = knob(
        0.3, "Share of a song that is made anew, in its middle.", gt=0, lt=1, recommended=(0.1, 0.5)
    )
    change: list[str] = knob(
        [],
        "What a variant's caption says more; several take turns "
        "(default: slight variation in style, a little warmer, a little brighter, …).",
    )
    signal: int = knob(0, "Variants of each song by pitch, tempo and gain; 0: none.", ge=0, le=100)
    pitch: float = knob(
        30.0,
        "Largest change of pitch in a signal variant, cents (the least is a third); 0: none.",
        ge=0,
        le=1200,
        recommended=(10, 30),
    )
    tempo: float = knob(
        3.0,
        "Largest change of tempo in a signal variant, percent (the least is a third); 0: none.",
        ge=0,
        le=50,
        recommended=(1, 3),
    )
    gain: float = knob(
        3.0,
        "Largest change of level in a signal variant, dB; 0: none.",
        ge=0,
        le=24,
        recommended=(1, 6),
    )
    max_seconds: float = knob(
        240.0,
        "The section lies in this much of a song, seconds: preprocess uses no more.",
        gt=0,
        le=600,
    )
    model: str | None = knob(None, "Base model that makes the sections (default: mini).")
    seed: int = knob(42, "Same seed, same variants.", ge=0, lt=2**63)
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob("auto", "Precision of the model.")
    offload: bool = knob(False, "Keep one part of the model on the device at a time.")

    def disagreements(self) -> list[str]:
        """There must be something to make."""
        if not self.variants and not self.signal:
            return ["--variants 0, --signal 0: there is nothing to make"]
        if self.signal and not (self.pitch or self.tempo or self.gain):
            return [f"--signal {self.signal}: --pitch, --tempo and --gain are all 0"]
        return []
