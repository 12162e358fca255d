"""The models that labelled ACE-Step 1.5's training data: captioner and transcriber.

Both are fine-tunes of Qwen2.5-Omni-7B and take its prompt with the task of their card. Only the
part that listens and writes is loaded (the "thinker"); what speaks stays on disk. The audio goes in
as Whisper's log-mel spectrogram, 16 kHz mono, up to five minutes.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from acestep.data.audio import RATE, resampled
from acestep.data.labels import LANGUAGES
from acestep.errors import LabelError, ModelError
from acestep.labellers.checkpoints import (
    AGAIN,
    READ_ERRORS,
    Published,
    find_text_model,
    load_network,
)
from acestep.labellers.described import (
    LONGEST_CAPTION,
    Described,
    clean_line,
    describe_lyrics,
    language_code,
)
from acestep.model.device import choose_device
from acestep.model.layout import read_config

CAPTIONER = Published("acestep-captioner", "ACE-Step/acestep-captioner", 22, 18)
TRANSCRIBER = Published("acestep-transcriber", "ACE-Step/acestep-transcriber", 22, 18)
DESCRIBE = "*Task* Describe this audio in detail"
TRANSCRIBE = "*Task* Transcribe this audio in detail"
ANSWER_TOKENS = 2048
HEARING = 16_000  # Hz
SHORTEST = 0.5  # seconds

_NEEDS = ("config.json", "tokenizer.json", "preprocessor_config.json")
_SECTION = re.compile(r"^\s*#+\s*(languages?|lyrics?)\s*:?[^\S\n]*$", re.IGNORECASE | re.MULTILINE)


class Omni:
    """A Qwen2.5-Omni that answers one question about audio: tokenizer, features, network."""

    def __init__(self, tokenizer: Any, features: Any, network: Any) -> None:
        self._tokenizer = tokenizer
        self._features = features
        self._network = network
        self._audio_token = network.config.audio_token_id

    @torch.inference_mode()
    def answer(self, audio: np.ndarray, task: str) -> tuple[str, list[str]]:
        """What it says of ``audio`` ``[2, N]`` at 48 kHz, and what it did not hear or say.

        The likeliest answer, always the same. Raises :class:`LabelError` for audio of less than
        half a second.
        """
        sound, notes = self._heard(audio)
        features = self._features(
            sound, sampling_rate=HEARING, return_attention_mask=True, return_tensors="pt"
        )
        frames = int(features["attention_mask"].sum())
        ids = self._question(task, _audio_tokens(frames))
        device, dtype = self._network.device, self._network.dtype
        made = self._network.generate(
            input_ids=ids.to(device),
            attention_mask=torch.ones_like(ids).to(device),
            input_features=features["input_features"].to(device, dtype),
            feature_attention_mask=features["attention_mask"].to(device),
            generation_config=self._settings(),
        )[0, ids.shape[1] :]
        if len(made) >= ANSWER_TOKENS:
            notes.append(f"the answer was cut at {ANSWER_TOKENS} tokens")
        text: str = self._tokenizer.decode(made, skip_special_tokens=True)
        return text, notes

    def _heard(self, audio: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Mono at 16 kHz, as much as it hears."""
        if audio.shape[1] < SHORTEST * RATE:
            raise LabelError(f"{audio.shape[1] / RATE:.2f} s are too short to be described")
        if not np.isfinite(audio).all():
            raise LabelError("the audio holds values that are no numbers", hint="Export it again.")
        sound = resampled(audio.mean(axis=0, keepdims=True), RATE, HEARING)[0]
        most = self._features.n_samples
        if len(sound) <= most:
            return sound, []
        return sound[:most], [
            f"the model heard the first {most / HEARING:.0f} of {len(sound) / HEARING:.0f} s"
        ]

    def _question(self, task: str, count: int) -> torch.Tensor:
        """Token ids ``[1, L]`` of the question, with ``count`` places for audio."""
        text = (
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            f"<|im_start|>user\n<|audio_bos|>{'<|AUDIO|>' * count}<|audio_eos|>{task}<|im_end|>\n"
            "<|im_start|>assistant\n"
        )
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids.count(self._audio_token) != count:
            raise ModelError("the tokenizer has no token for audio", hint=AGAIN)
        return torch.tensor([ids])

    def _settings(self) -> GenerationConfig:
        known = self._tokenizer.get_vocab()
        ends = [known[end] for end in ("<|im_end|>", "<|endoftext|>") if end in known]
        return GenerationConfig(
            do_sample=False, max_new_tokens=ANSWER_TOKENS, eos_token_id=ends, pad_token_id=ends[0]
        )


class OmniCaptioner:
    """Captions in prose: style, instruments, voices, how the song goes."""

    name = "acestep-captioner"

    def __init__(self, omni: Omni) -> None:
        self._omni = omni

    def describe(self, audio: np.ndarray, seconds: float) -> Described:
        """A caption of ``audio`` ``[2, N]`` float32 at 48 kHz; raises :class:`LabelError`."""
        text, notes = self._omni.answer(audio, DESCRIBE)
        caption = clean_line(text, LONGEST_CAPTION)
        if not any(map(str.isalpha, caption)):
            raise LabelError(f"the captioner gave no caption; it said {text[:200]!r}")
        return Described(caption=caption, notes=tuple(notes))


class OmniTranscriber:
    """Lyrics with section marks, and their language."""

    name = "acestep-transcriber"

    def __init__(self, omni: Omni) -> None:
        self._omni = omni

    def transcribe(self, audio: np.ndarray) -> Described:
        """Lyrics of ``audio`` ``[2, N]`` float32 at 48 kHz; raises :class:`LabelError`."""
        text, notes = self._omni.answer(audio, TRANSCRIBE)
        return read_transcript(text, notes)


def read_transcript(text: str, notes: list[str]) -> Described:
    """The transcriber's answer, ``# Languages``, codes, ``# Lyrics``, lines, as labels.

    With several languages the first counts and the others are a note. Raises :class:`LabelError`
    naming what was said where there is no ``# Lyrics``.
    """
    pieces = _SECTION.split(text)
    parts = {
        name.lower().rstrip("s"): body
        for name, body in zip(pieces[1::2], pieces[2::2], strict=True)
    }
    if "lyric" not in parts:
        raise LabelError(f"the transcriber wrote no lyrics; it said {text[:200]!r}")
    said = [word for word in re.split(r"[\s,;/|]+", parts.get("language", "")) if word]
    codes = list(dict.fromkeys(map(language_code, said)))
    known = [code for code in codes if code in LANGUAGES] or codes
    if len(known) > 1:
        notes = [*notes, f"the lyrics are in {', '.join(known)}; {known[0]} stands for them"]
    return describe_lyrics(parts["lyric"], known[0] if known else None, notes=notes)


def load_captioner(wanted: str | None = None, *, device: str | None = None) -> OmniCaptioner:
    """``ACE-Step/acestep-captioner``: a folder, a name in ``$ACESTEP_MODELS`` or a Hub id.

    Raises :class:`ModelError`: what to download, how big it is, where to put it.
    """
    return OmniCaptioner(_load(wanted, CAPTIONER, "the captioner", device))


def load_transcriber(wanted: str | None = None, *, device: str | None = None) -> OmniTranscriber:
    """``ACE-Step/acestep-transcriber``; otherwise as :func:`load_captioner`."""
    return OmniTranscriber(_load(wanted, TRANSCRIBER, "the transcriber", device))


def _load(wanted: str | None, published: Published, what: str, device: str | None) -> Omni:
    folder = find_text_model(wanted, [published], what=what, needs=_NEEDS)
    kind = read_config(folder / "config.json").get("model_type")
    if kind not in ("qwen2_5_omni", "qwen2_5_omni_thinker"):
        raise ModelError(
            f"{folder} holds a {kind!r} model, not {what} (qwen2_5_omni)",
            hint=f"Download huggingface.co/{published.repo}.",
        )
    place = choose_device(device)
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
        features = WhisperFeatureExtractor.from_pretrained(str(folder), local_files_only=True)
        return Omni(tokenizer, features, _network(folder, place))
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{folder} does not fit into the memory of {place}",
            hint=f"It needs about {published.memory:g} GB; use --device cpu.",
        ) from error
    except READ_ERRORS as error:
        raise ModelError(f"{folder} cannot be read: {error}", hint=AGAIN) from error


def _network(folder: Path, device: torch.device) -> Any:
    """The thinker, every weight of it, in bfloat16 on cuda and on a CPU: float32 takes 36 GB."""
    dtype = torch.float16 if device.type == "mps" else torch.bfloat16
    return load_network(Qwen2_5OmniThinkerForConditionalGeneration, folder, dtype).to(device)


def _audio_tokens(frames: int) -> int:
    """How many places a spectrogram of ``frames`` takes: a convolution and a pooling by two."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1
