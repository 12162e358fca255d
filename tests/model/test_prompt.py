import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from acestep.data.song import PromptLabels
from acestep.errors import ConfigError, LabelError
from acestep.model.base import find_model, load_tokenizer
from acestep.model.prompt import (
    INSTRUCTIONS,
    MAX_CAPTION_TOKENS,
    MAX_LYRICS_TOKENS,
    build_prompt,
    caption_prompt,
    instruction_for,
    lyrics_prompt,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = ["upstream_tiny/acestep-v15-turbo", "diffusers_tiny"]
TEXT = json.loads((GOLDEN / "text.json").read_text())
ENDOFTEXT = 0  # its id in the tiny tokenizer


@pytest.fixture(scope="module", params=TINY)
def tokenizer(request):
    return load_tokenizer(find_model(str(GOLDEN / request.param)))


def labels(caption="calm piano", lyrics="[Instrumental]", **metas):
    defaults = {
        "bpm": 90,
        "keyscale": "C major",
        "timesignature": "4",
        "language": "unknown",
        "seconds": 30.0,
    }
    return PromptLabels(caption=caption, lyrics=lyrics, **{**defaults, **metas})


def golden_labels(index: int) -> PromptLabels:
    metas = {key: None if value == "N/A" else value for key, value in TEXT["metas"][index].items()}
    return PromptLabels(
        caption=TEXT["captions"][index],
        lyrics=TEXT["lyrics"][index],
        bpm=metas["bpm"],
        keyscale=metas["keyscale"],
        timesignature=metas["timesignature"],
        language=TEXT["languages"][index],
        seconds=metas["duration"],
    )


@pytest.mark.parametrize("index", [0, 1])
def test_texts_and_ids_equal_the_original(tokenizer, index):
    arrays = load_file(GOLDEN / "text.safetensors")
    prompt = build_prompt(golden_labels(index), tokenizer, TEXT["instructions"][index])
    assert prompt.caption_text == TEXT["formatted_text"][index]
    assert prompt.lyrics_text == TEXT["formatted_lyrics"][index]
    for ids, name in ((prompt.caption_ids, "text"), (prompt.lyrics_ids, "lyric")):
        valid = arrays[f"{name}_attention_mask"][index]
        assert list(ids) == arrays[f"{name}_input_ids"][index][valid].tolist()
    assert prompt.cut == ()


def test_default_instruction_is_that_of_text2music(tokenizer):
    assert build_prompt(golden_labels(0), tokenizer).caption_text == TEXT["formatted_text"][0]


@pytest.mark.parametrize("key", TEXT["task_instructions"])
def test_instructions_equal_the_original(key):
    task, track, classes = key.split("|", 2)
    tracks = [] if track == "None" else [track]
    if classes != "None":
        tracks = json.loads(classes.replace("'", '"'))
    assert instruction_for(task, tracks) == TEXT["task_instructions"][key]


def test_every_task_has_an_instruction_that_ends_with_a_colon():
    assert all(instruction_for(task).endswith(":") for task in INSTRUCTIONS)
    assert caption_prompt(labels(), "Do this").startswith("# Instruction\nDo this:\n\n")


@pytest.mark.parametrize(
    ("task", "tracks"), [("understand", []), ("cover", ["vocals"]), ("lego", ["drums", "bass"])]
)
def test_impossible_instructions_are_refused(task, tracks):
    with pytest.raises(ConfigError, match=task):
        instruction_for(task, tracks)


def test_missing_metas_print_as_na_and_seconds_are_whole():
    blank = labels(bpm=None, keyscale=None, timesignature="", seconds=183.9)
    assert caption_prompt(blank).endswith(
        "- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: 183 seconds\n"
        "<|endoftext|>\n"
    )
    assert lyrics_prompt(labels(lyrics="[Verse 1]\nla la", language="en")) == (
        "# Languages\nen\n\n# Lyric\n[Verse 1]\nla la<|endoftext|>"
    )


def test_long_caption_is_cut_at_a_word_and_keeps_the_metas(tokenizer):
    words = [f"word{number}" for number in range(200)]
    caption = " ".join(words)
    prompt = build_prompt(labels(caption), tokenizer)
    kept = prompt.caption_text.split("# Caption\n")[1].split("\n\n# Metas\n")[0]
    count = len(kept.split())
    assert kept.split() == words[:count] and 0 < count < 200
    assert prompt.caption_text == caption_prompt(labels(kept))
    assert prompt.caption_text.endswith("- duration: 30 seconds\n<|endoftext|>\n")
    assert len(prompt.caption_ids) <= MAX_CAPTION_TOKENS
    one_more = caption_prompt(labels(" ".join(words[: count + 1])))
    assert len(tokenizer(one_more)["input_ids"]) > MAX_CAPTION_TOKENS
    whole = len(tokenizer(caption_prompt(labels(caption)))["input_ids"])
    (said,) = prompt.cut
    assert f"{whole} tokens" in said and f"last {whole - len(prompt.caption_ids)} tokens" in said
    assert f"“{words[count]} {words[count + 1]}" in said


def test_caption_without_spaces_is_cut_at_a_character(tokenizer):
    caption = "静かなピアノと雨の音が聞こえる夜の街" * 20
    prompt = build_prompt(labels(caption), tokenizer)
    kept = prompt.caption_text.split("# Caption\n")[1].split("\n\n# Metas\n")[0]
    assert caption.startswith(kept) and len(kept) > 20
    assert MAX_CAPTION_TOKENS - 4 <= len(prompt.caption_ids) <= MAX_CAPTION_TOKENS
    assert caption[len(kept) :][:10] in prompt.cut[0]


def test_hangul_is_cut_at_its_spaces(tokenizer):
    words = ["조용한", "피아노와", "비", "내리는", "밤의", "노래"] * 30
    prompt = build_prompt(labels(" ".join(words)), tokenizer)
    kept = prompt.caption_text.split("# Caption\n")[1].split("\n\n# Metas\n")[0].split()
    assert kept == words[: len(kept)]


def test_one_endless_word_is_cut_inside(tokenizer):
    prompt = build_prompt(labels("x" * 3000), tokenizer)
    assert len(prompt.caption_ids) == MAX_CAPTION_TOKENS


def test_long_lyrics_are_cut_at_a_line_and_keep_their_end(tokenizer):
    lines = [f"[Verse {number}] la la la, the night is long" for number in range(200)]
    prompt = build_prompt(labels(lyrics="\n".join(lines)), tokenizer)
    kept = prompt.lyrics_text.split("# Lyric\n")[1].removesuffix("<|endoftext|>").split("\n")
    assert kept == lines[: len(kept)] and 0 < len(kept) < 200
    assert len(prompt.lyrics_ids) <= MAX_LYRICS_TOKENS
    assert prompt.lyrics_ids[-2:] == (ENDOFTEXT, ENDOFTEXT)  # the text's and the tokenizer's
    assert prompt.cut[0].startswith("the lyrics") and lines[len(kept)] in prompt.cut[0]


def test_long_single_line_of_lyrics_is_cut_at_a_word(tokenizer):
    words = [f"la{number}" for number in range(2000)]
    prompt = build_prompt(labels(lyrics=" ".join(words)), tokenizer)
    kept = prompt.lyrics_text.split("# Lyric\n")[1].removesuffix("<|endoftext|>").split()
    assert kept == words[: len(kept)] and len(kept) > 100


def test_metas_that_alone_are_too_long_are_refused(tokenizer):
    with pytest.raises(LabelError, match="everything but the caption"):
        build_prompt(labels(keyscale="C sharp minor " * 100), tokenizer)


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=60), repeats=st.integers(1, 60))
def test_any_caption_keeps_its_metas(text, repeats):
    tokenizer = load_tokenizer(find_model(str(GOLDEN / TINY[0])))
    caption = text * repeats
    prompt = build_prompt(labels(caption), tokenizer)
    head, tail = caption_prompt(labels("\0")).split("\0")
    assert prompt.caption_text.startswith(head) and prompt.caption_text.endswith(tail)
    kept = prompt.caption_text[len(head) : len(prompt.caption_text) - len(tail)]
    assert caption.startswith(kept) and len(prompt.caption_ids) <= MAX_CAPTION_TOKENS
    assert (kept == caption) == (prompt.cut == ())


def test_prompts_and_the_search_for_models_need_no_torch():
    code = (
        "import sys, acestep.model.prompt, acestep.model.find; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'diffusers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
