"""Every exception the package raises on purpose.

::

    AceStepError               what the user can fix: the message says what, .hint says what to do
    ├── ConfigError            a knob is out of range, or two disagree (all of them at once)
    ├── AudioError             this file cannot be read as audio              (per song → Skipped)
    ├── LabelError             a labeller failed or answered nonsense          (per song → Skipped)
    ├── DatasetError           the dataset file is missing, malformed, or newer than us
    ├── TensorError            tensors do not match the dataset or the base model
    ├── ModelError             base model missing, wrong revision, does not fit in memory
    ├── AdapterError           an adapter does not fit this model
    └── RunError               diverged, or the run folder is not what it says

Nothing catches ``Exception``: a dependency's errors become ours at one boundary each, and whatever
else goes wrong is a bug that shows its traceback.
"""


class AceStepError(Exception):
    """What the user can fix. ``str(error)`` says what is wrong, ``error.hint`` what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(AceStepError):
    """One or more knobs are wrong; ``problems`` lists each of them."""

    def __init__(self, problems: list[str], *, hint: str = "") -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = problems


class AudioError(AceStepError):
    """This file cannot be read or written as audio."""


class LabelError(AceStepError):
    """A label could not be made or understood."""


class DatasetError(AceStepError):
    """The dataset file is missing, malformed, or newer than this version."""


class TensorError(AceStepError):
    """Tensors are incomplete, foreign, or do not match the base model."""


class ModelError(AceStepError):
    """The base model is missing, incomplete, or does not fit."""


class AdapterError(AceStepError):
    """An adapter does not fit the model, or cannot be read safely."""


class RunError(AceStepError):
    """Training diverged, or a run folder is not what it says it is."""


class AceStepWarning(UserWarning):
    """Something the user should know that does not stop the work."""
