import pytest
import torch
from language_models import CHAT, add_tokens

from acestep.data.labels import LANGUAGES, METERS
from acestep.errors import LabelError, ModelError
from acestep.labellers.lm_answer import FIELDS, describe_answer, parse_answer
from acestep.labellers.lm_grammar import KEYS, AnswerGrammar, Vocabulary, answer_steps

CODES = [f"<|audio_code_{code}|>" for code in range(50)]
PROMPT = 3


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    names = [*CHAT, "<think>", "</think>", *CODES]
    return add_tokens(tmp_path_factory.mktemp("lm"), names, special=False)


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(tokenizer, len(tokenizer) + 9)


def drawn(tokenizer, vocabulary, logits, *, seed=0, limit=1500, temperature=1.0):
    """An answer drawn under the grammar; ``logits(step)`` is what a model would say."""
    grammar = AnswerGrammar(answer_steps(tokenizer, vocabulary), PROMPT)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros(1, PROMPT, dtype=torch.long)
    for step in range(limit):
        scores = grammar(ids, logits(step)[None] / temperature)
        token = torch.multinomial(scores.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, token], 1)
        if vocabulary.ends[token]:
            break
    return tokenizer.decode(ids[0, PROMPT:], skip_special_tokens=False)


def check(text):
    """It has every field, in its vocabulary, and nothing that breaks it."""
    fields, lyrics = parse_answer(text)
    assert tuple(fields) == FIELDS, text
    assert fields["bpm"] in range(30, 301) and fields["duration"] in range(10, 601)
    assert fields["keyscale"] in KEYS and fields["timesignature"] in METERS
    assert fields["language"] in LANGUAGES
    assert text.startswith("<think>\nbpm: ") and text.count("</think>") == 1
    assert "`" not in text and "audio_code" not in text and "<" not in lyrics
    described = describe_answer(text, [])
    assert any(map(str.isalpha, described.caption)) and any(map(str.isalpha, described.genre))
    assert None not in (described.bpm, described.keyscale, described.timesignature)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_the_weights_the_answer_can_be_read(tokenizer, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    width = len(vocabulary.text)
    scale = (0.1, 1, 5, 1000)[seed % 4]
    bias = torch.randn(width, generator=generator) * scale
    bias[vocabulary.newline | vocabulary.ends] += (0, 2, 5)[seed % 3]
    text = drawn(
        tokenizer,
        vocabulary,
        lambda step: bias + torch.randn(width, generator=generator),
        seed=seed,
    )
    check(text)


STUBBORN = ["\n", " ", "\t", "`", "<", '"', "'", ":", "<|audio_code_7|>", "<|im_end|>",
            "<|im_start|>", "<think>", "</think>", "<|endoftext|>", "a", ".", "#", "["]  # fmt: skip


@pytest.mark.parametrize("wish", STUBBORN)
def test_a_model_that_wants_one_token_only(tokenizer, vocabulary, wish):
    (token,) = tokenizer(wish, add_special_tokens=False)["input_ids"]
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(len(vocabulary.text), generator=generator)
    logits[token] = 1000
    check(drawn(tokenizer, vocabulary, lambda step: logits, limit=900))


def test_an_answer_that_keeps_the_form_is_not_changed(tokenizer, vocabulary):
    wanted = (
        "<think>\nbpm: 73\ncaption: A gentle folk ballad,\n  with a warm voice.\nduration: 273\n"
        "genres: Chinese folk, ballad\nkeyscale: F# minor\nlanguage: zh\ntimesignature: 3\n</think>"
        "\n\n# Lyric\n[Verse 1]\nla la\n<|im_end|>"
    )
    # As a model writes it: line by line, and what begins a line is no part of the line before
    lines = wanted.replace("</think>", "</think>\x1f").replace("\n", "\n\x1f").split("\x1f")
    tokens = [
        one for line in lines for one in tokenizer(line, add_special_tokens=False)["input_ids"]
    ]
    width = len(vocabulary.text)
    rows = torch.nn.functional.one_hot(torch.tensor(tokens), width).float() * 100
    text = drawn(tokenizer, vocabulary, lambda step: rows[step], limit=len(tokens))
    assert text == wanted


def test_long_captions_come_to_an_end(tokenizer, vocabulary):
    logits = torch.zeros(len(vocabulary.text))
    logits[tokenizer("a", add_special_tokens=False)["input_ids"]] = 1000
    fields, _ = parse_answer(drawn(tokenizer, vocabulary, lambda step: logits, limit=900))
    assert len(fields["caption"]) == 512 and len(fields["genres"]) == 64
    logits[:] = 0
    folds = vocabulary.indents | vocabulary.newline
    text = drawn(tokenizer, vocabulary, lambda step: torch.where(folds, 50.0, 0.0), limit=1200)
    check(text)


def test_the_language_is_the_likeliest_not_drawn(tokenizer, vocabulary):
    logits = torch.zeros(len(vocabulary.text))
    logits[tokenizer("language: ko\n", add_special_tokens=False)["input_ids"][-4:-1]] = 0.1
    logits[vocabulary.newline] = 5
    for seed in range(5):
        text = drawn(tokenizer, vocabulary, lambda step: logits, seed=seed, limit=300)
        assert parse_answer(text)[0]["language"] == "ko"


def test_parts_say_how_long_they_can_be(tokenizer, vocabulary):
    logits = torch.zeros(len(vocabulary.text))
    logits[tokenizer("a", add_special_tokens=False)["input_ids"]] = 1000
    longest = sum(step.longest for step in answer_steps(tokenizer, vocabulary))
    assert "</think>" in drawn(tokenizer, vocabulary, lambda step: logits, limit=longest)


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_compute_no_numbers(tokenizer, vocabulary, number):
    with pytest.raises(LabelError, match="no numbers"):
        drawn(tokenizer, vocabulary, lambda step: torch.full((len(vocabulary.text),), number))


def test_what_stands_nowhere(tokenizer, vocabulary):
    banned = ["<|audio_code_7|>", "<|im_start|>", "<think>", "`", "<", "\r", "\x00", "\x1b"]
    for text in banned:
        (token,) = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert not vocabulary.text[token], text
    assert not vocabulary.text[len(tokenizer) :].any()
    (blank,) = tokenizer("\n\n", add_special_tokens=False)["input_ids"]
    assert vocabulary.text[blank] and not vocabulary.breaks[blank] and not vocabulary.line[blank]


def test_a_tokenizer_of_another_model_is_refused(tokenizer):
    with pytest.raises(ModelError, match="756 tokens and the model 755"):
        Vocabulary(tokenizer, len(tokenizer) - 1)
