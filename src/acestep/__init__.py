"""Teach the ACE-Step 1.5 music model a style of your own, from a folder of songs.

The verbs, each ``verb(config) -> Iterator[Event]``::

    scan        songs/        → dataset.json
    label       dataset.json  → dataset.json with what was missing (edit changes it by hand)
    check       dataset.json  → what is wrong with it, and a score
    augment     dataset.json  → dataset.json with variants of its songs
    preprocess  dataset.json  → tensors/
    pack        tensors/      → packed/, for network storage
    advise      tensors/      → settings with reasons; runs/<name>/ → what to change
    train       tensors/      → runs/<name>/
    sweep       sweep.toml    → runs with different settings, and the best of them
    evaluate    runs/<name>/  → what each checkpoint learned, and which is best
    export      runs/<name>/  → an adapter
    reproduce   an adapter    → the same again, bit for bit
    share       an adapter    → the Hugging Face Hub
    generate    prompt        → song.flac
    studio      all of it     → in a browser

and :class:`AceStepPipeline`, the object to hold when generating from Python. Names are imported on
first use, so ``import acestep`` does not load torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOMES = (
    {
        "scan": "acestep.scan",
        "label": "acestep.label",
        "edit": "acestep.edit",
        "check": "acestep.check",
        "augment": "acestep.augment",
        "preprocess": "acestep.preprocess",
        "pack": "acestep.pack",
        "advise": "acestep.advise",
        "train": "acestep.train",
        "sweep": "acestep.sweep",
        "evaluate": "acestep.evaluate",
        "export": "acestep.export",
        "reproduce": "acestep.reproduce",
        "share": "acestep.share",
        "studio": "acestep.studio",
        "generate": "acestep.generate",
        "AceStepPipeline": "acestep.pipeline",
        "Song": "acestep.data.song",
        "Dataset": "acestep.data.song",
        "load_dataset": "acestep.data.song",
        "save_dataset": "acestep.data.song",
    }
    | {
        name: "acestep.config"
        for name in (
            "ScanConfig",
            "LabelConfig",
            "EditConfig",
            "CheckConfig",
            "AugmentConfig",
            "PackConfig",
            "PreprocessConfig",
            "AdviseConfig",
            "TrainConfig",
            "SweepConfig",
            "EvaluateConfig",
            "ExportConfig",
            "ReproduceConfig",
            "ShareConfig",
            "StudioConfig",
            "GenerateConfig",
        )
    }
    | {
        name: "acestep.errors"
        for name in (
            "AceStepError",
            "ConfigError",
            "AudioError",
            "LabelError",
            "DatasetError",
            "TensorError",
            "ModelError",
            "AdapterError",
            "RunError",
            "AceStepWarning",
        )
    }
)
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'acestep' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


class _Package(ModuleType):
    """A verb and its module share a name; ``acestep.scan`` is always the verb.

    Importing ``acestep.scan`` makes Python bind the module onto the package; this puts the
    function of the same name there instead.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
