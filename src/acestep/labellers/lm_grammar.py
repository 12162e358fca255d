"""The form that the music language model's answers have, held token by token as they are made.

::

    <think>
    bpm: 73
    caption: free text that may go on
      in indented lines
    duration: 273
    genres: one line of free text
    keyscale: G major
    language: en
    timesignature: 4
    </think>
    free text: the lyrics

Whatever the weights, what comes out has every field with a value of its vocabulary, and can be
parsed. The tokens of fixed texts are those the tokenizer makes of a whole line, which are the ones
the model was trained on. Source: the constrained decoder of ACE-Step 1.5, without its genre list.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import LogitsProcessor

from acestep.data.labels import LANGUAGES, METERS
from acestep.errors import LabelError, ModelError

TEMPI = range(30, 301)
DURATIONS = range(10, 601)  # seconds
SIGNS = ("", "#", "b", "♯", "♭")
_KEYS = itertools.product("ABCDEFG", SIGNS, (" major", " minor"))
KEYS = ["".join(parts) for parts in _KEYS]
CAPTION_TOKENS = 512
GENRE_TOKENS = 64
_ENDS = ("<|im_end|>", "<|endoftext|>")

Trie = dict[int, Any]  # token → what may follow it; empty behind a whole line


class Vocabulary:
    """Which tokens may stand where in free text, as masks ``[width]`` over a model's logits.

    Control characters, backticks, "<" and every special token (audio codes among them) stand
    nowhere. Raises :class:`ModelError` for a tokenizer that does not go with the model.
    """

    def __init__(self, tokenizer: Any, width: int) -> None:
        known = tokenizer.get_vocab()
        size = max(known.values()) + 1
        if size > width:
            raise ModelError(
                f"the tokenizer knows {size:,} tokens and the model {width:,}",
                hint="They are of different models; download the model again.",
            )
        ids = [[token] for token in range(size)]
        texts = tokenizer.backend_tokenizer.decode_batch(ids, skip_special_tokens=False)
        for token in {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids}:
            texts[token] = ""
        texts = [text if _is_plain(text) else "" for text in texts] + [""] * (width - size)

        def mask(rule: Callable[[str], bool]) -> Tensor:
            return torch.tensor([rule(text) for text in texts])

        self.text = mask(bool)
        self.breaks = mask(lambda text: text.endswith("\n") and text.count("\n") == 1)
        self.line = mask(lambda text: text != "" and "\n" not in text)
        self.indents = self.line & mask(lambda text: text[:1] in (" ", "\t"))
        self.words = self.line & mask(lambda text: any(map(str.isalpha, text)))
        self.quotes = mask(lambda text: text.strip() in ("'", '"'))
        self.newline = mask(lambda text: text == "\n")
        self.ends = torch.zeros(width, dtype=torch.bool)
        ends = {known[end] for end in _ENDS if end in known} | {tokenizer.eos_token_id} - {None}
        self.ends[list(ends)] = True
        if not (self.newline.any() and self.words.any() and self.ends.any()):
            raise ModelError(
                "the tokenizer has no token for a new line, for words, or for an end",
                hint="It is none of a Qwen3 model; download the model again.",
            )

    def to(self, device: torch.device) -> "Vocabulary":
        """The same masks on a device."""
        for name, mask in vars(self).items():
            setattr(self, name, mask.to(device))
        return self


class Step(Protocol):
    """A part of the answer. ``longest`` is the most tokens it takes."""

    longest: int

    def allowed(self, scores: Tensor) -> Tensor | None:
        """Which tokens may come next, as a mask or as ids; None where the part has ended."""
        ...

    def take(self, token: int) -> bool:
        """Go on by a token; whether the part has ended with it."""
        ...


class OneOf:
    """One of a few lines, each as the tokenizer writes it; ``greedy``: the likeliest of them."""

    def __init__(self, tokenizer: Any, lines: Sequence[str], *, greedy: bool = False) -> None:
        written = tokenizer(list(lines), add_special_tokens=False)["input_ids"]
        self._node: Trie = {}
        self._greedy = greedy
        self.longest = max(map(len, written))
        for ids in written:
            node = self._node
            for token in ids:
                node = node.setdefault(token, {})

    def allowed(self, scores: Tensor) -> Tensor:
        """Ids of the tokens that go on with one of the lines."""
        following = torch.tensor(list(self._node), device=scores.device)
        return following[scores[following].argmax()][None] if self._greedy else following

    def take(self, token: int) -> bool:
        """Down the tree of lines."""
        self._node = self._node[token]
        return not self._node


class FreeLine:
    """Free text to the end of its line, with at least one letter and at most ``limit`` tokens.

    With ``folds`` the text goes on in the next line where the model's first choice after a line
    break begins with white space, as long captions do.
    """

    def __init__(self, vocabulary: Vocabulary, limit: int, *, folds: bool = False) -> None:
        self._known = vocabulary
        self._folds = folds
        self._limit = limit
        self._taken = 0
        self._has_letter = self._at_break = False
        self.longest = limit + 1

    def allowed(self, scores: Tensor) -> Tensor | None:
        """A mask; None where no indented line follows."""
        known = self._known
        if self._at_break:
            first_choice = scores.masked_fill(~known.text, -torch.inf).argmax()
            goes_on = self._taken < self._limit and bool(known.indents[first_choice])
            return known.indents if goes_on else None
        if not self._has_letter:
            return known.words | known.quotes if self._taken == 0 else known.words
        return known.line | known.breaks if self._taken < self._limit else known.newline

    def take(self, token: int) -> bool:
        """Count the token, and see whether it ends the line."""
        self._taken += 1
        self._has_letter |= bool(self._known.words[token])
        self._at_break = bool(self._known.breaks[token])
        return self._at_break and not self._folds


class FreeText:
    """Free text of any number of lines, until the model ends it."""

    longest = 1

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._mask = vocabulary.text | vocabulary.ends

    def allowed(self, scores: Tensor) -> Tensor:
        """A mask, always the same."""
        return self._mask

    def take(self, token: int) -> bool:
        """It ends with the answer."""
        return False


def answer_steps(tokenizer: Any, vocabulary: Vocabulary) -> list[Step]:
    """The parts of one answer in their order, fresh: each remembers where it is."""

    def one_of(name: str, values: Sequence[object], *, greedy: bool = False) -> OneOf:
        return OneOf(tokenizer, [f"{name}: {value}\n" for value in values], greedy=greedy)

    return [
        OneOf(tokenizer, ["<think>\n"]),
        one_of("bpm", TEMPI),
        OneOf(tokenizer, ["caption:"]),
        FreeLine(vocabulary, CAPTION_TOKENS, folds=True),
        one_of("duration", DURATIONS),
        OneOf(tokenizer, ["genres:"]),
        FreeLine(vocabulary, GENRE_TOKENS),
        one_of("keyscale", KEYS),
        one_of("language", sorted(LANGUAGES), greedy=True),
        one_of("timesignature", METERS),
        OneOf(tokenizer, ["</think>"]),
        FreeText(vocabulary),
    ]


class AnswerGrammar(LogitsProcessor):
    """Masks the logits of every token that the answer's form does not allow next.

    ``prompt`` is the number of tokens before the answer. For one answer at a time. Raises
    :class:`LabelError` where the model's logits are no numbers.
    """

    def __init__(self, steps: list[Step], prompt: int) -> None:
        self._steps = steps
        self._read = prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores ``[1, width]`` with minus infinity for what may not come."""
        assert len(input_ids) == 1, "one answer at a time"
        for token in input_ids[0, self._read :].tolist():
            if self._steps[0].take(token):
                self._steps.pop(0)
        self._read = input_ids.shape[1]
        allowed = self._steps[0].allowed(scores[0])
        while allowed is None:
            self._steps.pop(0)
            allowed = self._steps[0].allowed(scores[0])
        kept = scores[:, allowed]
        if kept.isnan().any() or kept.max().isinf():
            raise LabelError(
                "the music language model computes no numbers (infinity or NaN)",
                hint="Its weights are damaged, or its precision too low: download it again.",
            )
        masked = torch.full_like(scores, -torch.inf)
        masked[:, allowed] = kept
        return masked


def _is_plain(text: str) -> bool:
    """Whether a token may stand in a label."""
    return all(letter in "\n\t" or letter.isprintable() for letter in text) and not (
        {"`", "<"} & set(text)
    )
