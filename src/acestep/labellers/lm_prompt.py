"""What the music language model is asked: a song as its 5 Hz codes, in the chat it was trained on.

The wording is ACE-Step 1.5's "understand" task; codes are tokens of their own, five a second.
"""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from acestep.errors import ModelError

INSTRUCTION = (
    "# Instruction\n"
    "Understand the given musical conditions and describe the audio semantics accordingly:\n\n"
)
CODES = 64_000  # the audio tokenizer's; the vocabulary has further ones that mean nothing
CODES_PER_SECOND = 5

# For a tokenizer that brings no template of its own: what Qwen3's makes of two messages
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def code_text(codes: Sequence[int]) -> str:
    """Codes as the language model's text: ``<|audio_code_18953|><|audio_code_7|>``.

    Raises ``ValueError`` for a code that the audio tokenizer does not have.
    """
    for code in codes:
        if not 0 <= code < CODES:
            raise ValueError(f"audio codes are from 0 to {CODES - 1}, not {code}")
    return "".join(f"<|audio_code_{code}|>" for code in codes)


def prompt_ids(tokenizer: Any, codes: Sequence[int]) -> list[int]:
    """The token ids of the question about ``codes``, up to where the answer begins.

    Raises :class:`ModelError` where the tokenizer is not the music language model's.
    """
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": code_text(codes)},
    ]
    try:
        text = tokenizer.apply_chat_template(
            messages,
            chat_template=tokenizer.chat_template or CHATML,
            tokenize=False,
            add_generation_prompt=True,
        )
    except TemplateError as error:
        raise ModelError(
            f"the music language model's chat template is broken: {error}",
            hint="Download the model again.",
        ) from error
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    wanted = tokenizer.convert_tokens_to_ids([f"<|audio_code_{code}|>" for code in codes])
    known = set(wanted)
    if [token for token in ids if token in known] != wanted:
        raise ModelError(
            "the tokenizer of the music language model has no audio codes",
            hint="Use a model of acestep-5Hz-lm; another Qwen3 does not know them.",
        )
    return ids


def fit_codes(codes: Sequence[int], room: int) -> tuple[list[int], list[str]]:
    """As many codes from the start as fit into ``room`` tokens, and what was not heard."""
    if len(codes) <= room:
        return list(codes), []
    heard, whole = (count / CODES_PER_SECOND for count in (room, len(codes)))
    return list(codes[:room]), [
        f"the music language model heard the first {heard:.0f} of {whole:.0f} s: "
        "more does not fit into its context"
    ]
