"""ACE-Step 1.5's own language model as a labeller: it reads a song's codes and says what it hears.

audio → VAE → audio tokenizer → codes (:mod:`.audio_codes`) → question (:mod:`.lm_prompt`) → answer,
held to its form (:mod:`.lm_grammar`) → labels (:mod:`.lm_answer`). Tempo, key and metre are read
off five codes a second: what the signal says of them is worth more.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    Qwen3ForCausalLM,
)

from acestep.errors import LabelError, ModelError
from acestep.labellers.audio_codes import audio_codes
from acestep.labellers.checkpoints import (
    AGAIN,
    READ_ERRORS,
    Published,
    find_text_model,
    load_network,
)
from acestep.labellers.described import Described
from acestep.labellers.lm_answer import describe_answer
from acestep.labellers.lm_grammar import AnswerGrammar, Vocabulary, answer_steps
from acestep.labellers.lm_prompt import fit_codes, prompt_ids
from acestep.model.device import choose_device
from acestep.model.find import MAIN_REPO, MINI
from acestep.model.layout import BaseModel, read_config
from acestep.model.parts import Parts

PUBLISHED = (
    Published("acestep-5Hz-lm-1.7B", MAIN_REPO, 3.7, 8, inside="acestep-5Hz-lm-1.7B"),
    Published("acestep-5Hz-lm-4B", "ACE-Step/acestep-5Hz-lm-4B", 8.4, 12),
    Published("acestep-5Hz-lm-0.6B", "ACE-Step/acestep-5Hz-lm-0.6B", 1.3, 3),
)
CONTEXT = 4096  # tokens of question and answer, as the original program runs it
LYRICS_TOKENS = 768  # what is kept free for them at least; a long song has about 500
MOST_LYRICS_TOKENS = 2048  # what the base model reads of them
TEMPERATURE = 0.3  # the original program's for an analysis; its auto-label takes 0.7


class MusicLM:
    """The music language model with the parts of a base model that make its codes.

    ``parts`` encode the audio, ``seed`` settles both the encoder's noise and what is drawn.
    """

    name = "music-lm"

    def __init__(
        self,
        tokenizer: Any,
        network: Any,
        parts: Parts,
        *,
        seed: int = 0,
        temperature: float = TEMPERATURE,
    ) -> None:
        self._tokenizer = tokenizer
        self._network = network
        self._parts = parts
        self._seed = seed
        self._temperature = temperature
        self._vocabulary = Vocabulary(tokenizer, network.config.vocab_size).to(network.device)
        self._context = min(CONTEXT, network.config.max_position_embeddings)
        self._head = sum(step.longest for step in answer_steps(tokenizer, self._vocabulary))
        question = len(prompt_ids(tokenizer, []))
        self._room = self._context - question - self._head - LYRICS_TOKENS
        if self._room < 1:
            raise ModelError(f"a context of {self._context} tokens leaves no room for a song")

    def describe(self, audio: np.ndarray, seconds: float) -> Described:
        """Caption, genre, lyrics, language and metas of ``audio`` ``[2, N]`` float32 at 48 kHz.

        Raises :class:`LabelError` for silence, or an answer without a caption.
        """
        text, described = self._hear(audio)
        if described.caption is None or not any(map(str.isalpha, described.caption)):
            raise LabelError(f"the music language model gave no caption; it said {text[:200]!r}")
        return described

    def transcribe(self, audio: np.ndarray) -> Described:
        """Its lyrics and their language alone; it is known to invent some.

        Raises :class:`LabelError` for silence, or an answer without lyrics.
        """
        text, heard = self._hear(audio)
        if heard.lyrics is None:
            raise LabelError(f"the music language model gave no lyrics; it said {text[-200:]!r}")
        return Described(
            lyrics=heard.lyrics,
            language=heard.language,
            instrumental=heard.instrumental,
            notes=heard.notes,
        )

    @torch.inference_mode()
    def answer(self, codes: list[int]) -> str:
        """The answer's text to a question about codes that fit; the same by seed."""
        ids = prompt_ids(self._tokenizer, codes)
        question = torch.tensor([ids], device=self._network.device)
        grammar = AnswerGrammar(answer_steps(self._tokenizer, self._vocabulary), len(ids))
        draws = self._temperature > 0
        settings = GenerationConfig(
            do_sample=draws,
            temperature=self._temperature if draws else None,
            top_k=0 if draws else None,
            max_new_tokens=min(self._context - len(ids), self._head + MOST_LYRICS_TOKENS),
            eos_token_id=self._vocabulary.ends.nonzero().flatten().tolist(),
            pad_token_id=int(self._vocabulary.ends.nonzero()[0]),
        )
        own = [self._network.device] if self._network.device.type == "cuda" else []
        with torch.random.fork_rng(devices=own):
            torch.manual_seed(self._seed)
            made = self._network.generate(
                question,
                attention_mask=torch.ones_like(question),
                generation_config=settings,
                logits_processor=LogitsProcessorList([grammar]),
            )
        text: str = self._tokenizer.decode(
            made[0, len(ids) :], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _hear(self, audio: np.ndarray) -> tuple[str, Described]:
        codes, notes = fit_codes(audio_codes(self._parts, audio, self._seed), self._room)
        text = self.answer(codes)
        return text, describe_answer(text, notes)


def load_music_lm(
    wanted: str | None = None,
    *,
    model: BaseModel,
    device: str | None = None,
    seed: int = 0,
    temperature: float = TEMPERATURE,
) -> MusicLM:
    """The music language model, ready to label.

    ``wanted`` is a folder, ``acestep-5Hz-lm-0.6B``, ``-1.7B`` or ``-4B`` in ``$ACESTEP_MODELS``, or
    a Hub id; None takes the first that is there of 1.7B, 4B and 0.6B. ``model`` is the base model
    whose VAE and audio tokenizer make the codes. It computes in bfloat16 on cuda, else in float32.
    The codes of the model ``mini`` are its own, so it is refused. Raises :class:`ModelError`: what
    to download, how big it is, where to put it.
    """
    if model.source == MINI:
        raise ModelError(
            "the music language model reads the codes of the published base models, and those of "
            f"the model {MINI!r} are others",
            hint="Name a published one, for example --model acestep-v15-turbo.",
        )
    folder = find_text_model(
        wanted,
        PUBLISHED,
        what="the music language model",
        needs=("config.json", "tokenizer.json"),
    )
    place = choose_device(device)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    network = _network(folder, place, dtype)
    parts = Parts(model, place, dtype)
    return MusicLM(_tokenizer(folder), network, parts, seed=seed, temperature=temperature)


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    kind = read_config(folder / "tokenizer.json").get("model")
    if not isinstance(kind, dict) or kind.get("type") != "BPE":
        raise ModelError(f"{folder / 'tokenizer.json'} holds no byte-pair tokenizer", hint=AGAIN)
    try:
        return PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    except READ_ERRORS as error:
        raise ModelError(f"{folder}: the tokenizer cannot be read: {error}", hint=AGAIN) from error


def _network(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The weights, from safetensors alone; every one of them must be there."""
    kind = read_config(folder / "config.json").get("model_type")
    if kind != "qwen3":
        raise ModelError(
            f"{folder} holds a {kind!r} model, not the music language model (qwen3)",
            hint="Name a folder acestep-5Hz-lm-0.6B, -1.7B or -4B.",
        )
    try:
        return load_network(Qwen3ForCausalLM, folder, dtype).to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{folder} does not fit into the memory of {device}",
            hint="Use a smaller one (0.6B), or --device cpu.",
        ) from error
    except READ_ERRORS as error:
        raise ModelError(f"{folder} cannot be read: {error}", hint=AGAIN) from error
