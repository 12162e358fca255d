"""The base model: which there are (:mod:`.find`), whether one is complete (:mod:`.layout`), and its
parts as modules (:mod:`.load`). Import :mod:`acestep.model.find` where torch is not wanted.
"""

from acestep.model.find import KNOWN, MINI, ModelRow, find_again, find_model, list_models
from acestep.model.layout import BaseModel
from acestep.model.load import (
    TIMBRE_FRAMES,
    empty_transformer,
    load_audio_tokenizer,
    load_condition_encoder,
    load_null_condition,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
)

__all__ = [
    "KNOWN",
    "MINI",
    "TIMBRE_FRAMES",
    "BaseModel",
    "ModelRow",
    "empty_transformer",
    "find_again",
    "find_model",
    "list_models",
    "load_audio_tokenizer",
    "load_condition_encoder",
    "load_null_condition",
    "load_silence",
    "load_text_encoder",
    "load_tokenizer",
    "load_transformer",
    "load_vae",
]
