"""What can be set of judging what an adapter learned."""

from pathlib import Path

from acestep.configs.base import Config, Device, Precision, knob, output
from acestep.knobs import Positional

STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
STRONGEST = 3.0
QUICK_CLIPS = 8


class EvaluateConfig(Config):
    """Judge what an adapter learned: style, copies, tag; choose the checkpoint and its strength."""

    run: Positional[Path] = knob(..., "Run folder, or any adapter folder or file.")
    output: Path | None = output(
        None, "Folder for the report and its clips (default: evaluation, in the run's folder)."
    )
    tensors: Path | None = knob(
        None, "Tensors of the songs it was trained on (default: those that the run names)."
    )
    checkpoint: list[str] = knob(
        [], "Judge only these checkpoints of the run, for example epoch_400 (default: all)."
    )
    clips: int = knob(
        16, "Clips per condition; under 8 there is no verdict.", ge=2, le=256, recommended=(8, 32)
    )
    quick: bool = knob(
        False, "8 clips unless told, the tag of the recommended checkpoint only, one strength."
    )
    seconds: float | None = knob(
        None,
        "Length of a clip (default: the songs', from 10 to 30 s).",
        ge=10,
        le=240,
        recommended=(10, 30),
    )
    prompt: list[str] = knob(
        [], "Caption of one more test prompt, beside those made from the songs' labels."
    )
    seed: int = knob(42, "Same seed, same clips.", ge=0, lt=2**62)
    strength: list[float] = knob(
        list(STRENGTHS), "Strengths at which the best checkpoint is heard, beside 1."
    )
    other: Path | None = knob(
        None, "Tensors of another style, as a control (default: songs that the program writes)."
    )
    votes: Path | None = knob(None, "Votes from the blind A/B page, as it exported them.")
    model: str | None = knob(None, "Base model (default: the one the adapter was trained on).")
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob("auto", "Precision of the model.")
    offload: bool = knob(False, "Keep one part of the model on the device at a time.")

    def disagreements(self) -> list[str]:
        """A strength of 0 is the base, and far beyond training there is only noise."""
        problems = [
            f"--strength {value:g}: must be above 0 and at most {STRONGEST:g}"
            for value in self.strength
            if not 0 < value <= STRONGEST
        ]
        problems += ['--prompt "": empty' for text in self.prompt if not text.strip()]
        return problems

    @property
    def clips_wanted(self) -> int:
        """Clips per condition, with ``quick`` taken into account."""
        few = self.quick and "clips" not in self.model_fields_set
        return QUICK_CLIPS if few else self.clips

    @property
    def strengths_wanted(self) -> list[float]:
        """The strengths beside 1, rising, each once."""
        return [] if self.quick else sorted({*self.strength} - {1.0})
