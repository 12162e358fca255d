"""What can be set of checking a dataset."""

from pathlib import Path

from acestep.configs.base import Config, knob, output
from acestep.knobs import Positional


class CheckConfig(Config):
    """Look for what is wrong with a dataset, in its audio and its labels, and say what to do."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    model: str | None = knob(
        None, "Base model whose tokenizer counts captions and lyrics (default: mini)."
    )
    labels_only: bool = knob(False, "Leave the audio alone: labels, tag, lengths; at once.")
    output: Path | None = output(
        None, "Write all that was found and measured as JSON to this file."
    )
    html: Path | None = knob(
        None, "Write one page with waveforms and spectra to this file; it needs nothing else."
    )
    strict: bool = knob(False, "Fail (exit code 1) if there are errors.")
