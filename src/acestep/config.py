"""Every knob there is, declared once, in the config class of its verb.

Flags, ``--help``, documentation, validation and (later) widgets are readings of these classes;
:mod:`acestep.knobs` walks them.
"""

from acestep.configs.adapters import ExportConfig, PreprocessConfig, TrainConfig
from acestep.configs.advising import AdviseConfig
from acestep.configs.augmenting import AugmentConfig
from acestep.configs.base import TWO_LYRICS, AdapterFormat, Config, Device, Precision, Task, knob
from acestep.configs.checking import CheckConfig
from acestep.configs.dataset import LABELS, EditConfig, LabelConfig, ScanConfig
from acestep.configs.evaluating import EvaluateConfig
from acestep.configs.music import GenerateConfig
from acestep.configs.packing import PackConfig
from acestep.configs.sharing import ReproduceConfig, ShareConfig
from acestep.configs.studio import StudioConfig
from acestep.configs.sweeping import SweepConfig

__all__ = [
    "COMMANDS", "LABELS", "TWO_LYRICS", "AdapterFormat", "AdviseConfig", "AugmentConfig",
    "CheckConfig", "Config", "Device", "DoctorConfig", "EditConfig", "EvaluateConfig",
    "ExportConfig", "GenerateConfig", "LabelConfig", "ModelsConfig", "PackConfig",
    "Precision", "PreprocessConfig", "ReproduceConfig", "ScanConfig", "ShareConfig", "StudioConfig",
    "SweepConfig", "Task",
    "TrainConfig", "knob",
]  # fmt: skip


class ModelsConfig(Config):
    """List the base models that are known and those that are present."""


class DoctorConfig(Config):
    """Check the installation: versions, device, memory, models, audio formats."""


COMMANDS: dict[str, type[Config]] = {
    "scan": ScanConfig,
    "label": LabelConfig,
    "edit": EditConfig,
    "check": CheckConfig,
    "augment": AugmentConfig,
    "preprocess": PreprocessConfig,
    "pack": PackConfig,
    "advise": AdviseConfig,
    "train": TrainConfig,
    "sweep": SweepConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "reproduce": ReproduceConfig,
    "share": ShareConfig,
    "generate": GenerateConfig,
    "studio": StudioConfig,
    "models": ModelsConfig,
    "doctor": DoctorConfig,
}
