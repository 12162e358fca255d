"""The small base model's text tokenizer: byte-level BPE on its own prompts, with Qwen's rules.

Any text has tokens; words of the corpus have few. The vocabulary is small, since every entry is
half a kilobyte of the model, and stops growing where the corpus has no more words to merge.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from acestep.mini.corpus import STYLES, compose
from acestep.mini.train.shapes import VOCABULARY
from acestep.mini.train.text_prompts import song_labels
from acestep.model.prompt import INSTRUCTIONS, caption_prompt, instruction_for, lyrics_prompt
from acestep.model.tasks import TRACKS

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SONGS = 3000
DURATIONS = (5, 10, 16, 20, 30, 45, 60, 90, 120, 180, 240)  # s


def train_tokenizer(folder: Path, songs: int = SONGS) -> None:
    """Write ``tokenizer.json`` and its config into a folder; the same songs give the same file."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(songs), trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    merges: Any = [tuple(merge) for merge in learnt["merges"]]  # what the class really takes
    Qwen2Tokenizer(vocab=learnt["vocab"], merges=merges).save_pretrained(folder)


def open_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, as :func:`acestep.model.load.load_tokenizer` reads it."""
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def some_instruction(rng: np.random.Generator) -> str:
    """The instruction of one of the tasks, mostly of making music from nothing."""
    if rng.random() < 0.6:
        return instruction_for("text2music")
    task = list(INSTRUCTIONS)[rng.integers(len(INSTRUCTIONS))]
    if INSTRUCTIONS[task][1] is None:
        return instruction_for(task)
    count = int(rng.integers(1, 4)) if task == "complete" else 1
    return instruction_for(task, list(rng.choice(TRACKS, size=count, replace=False)))


def _texts(songs: int) -> Iterator[str]:
    rng = np.random.default_rng(0)
    styles = list(STYLES)
    for seed in range(songs):
        song = compose(seed, float(rng.choice(DURATIONS[:5])), style=styles[seed % len(styles)])
        labels = song_labels(song, rng)
        yield caption_prompt(labels, some_instruction(rng))
        yield lyrics_prompt(labels)
