"""English and Korean: both complete, and nothing on a page beside them."""

import ast
import re
from pathlib import Path

import pytest

from acestep.web import words
from acestep.web.words import LANGUAGES, TABLES, language_of, say, t, table, translations

WEB = Path(words.__file__).parent
PLACES = re.compile(r"\{(\w*)[^}]*\}")
# What is the same in both languages: names, abbreviations, codes
SAME = re.compile(r"[A-Z0-9/·:.\s{}()%–-]*|BPM|LoRA|.*\{\w+\}.*")
# Where a component takes words, by place or by name
SPOKEN = {"label", "info", "placeholder", "title", "show_label_text", "submit_btn"}
FIRST = {"Button", "Markdown", "Tab", "Accordion", "UploadButton", "DownloadButton"}


def test_every_text_is_there_in_both_languages_with_the_same_places():
    wrong = []
    for key, (english, korean) in table().items():
        if not english.strip() or not korean.strip():
            wrong.append(f"{key}: empty")
        if sorted(PLACES.findall(english)) != sorted(PLACES.findall(korean)):
            wrong.append(f"{key}: {english} / {korean}")
    assert wrong == []


def test_korean_is_korean():
    hangul = re.compile("[가-힣]")
    wrong = [
        f"{key}: {korean}"
        for key, (english, korean) in table().items()
        if not hangul.search(korean) and not (english == korean and SAME.fullmatch(english))
    ]
    english = [key for key, texts in table().items() if hangul.search(texts[0])]
    assert (wrong, english) == ([], [])


def test_a_key_stands_in_one_table():
    from importlib import import_module

    files = {file.stem for file in (WEB / "texts").glob("*.py")} - {"__init__"}
    assert files == set(TABLES)
    keys = [key for name in TABLES for key in import_module(f"acestep.web.texts.{name}").WORDS]
    assert len(keys) == len(set(keys))


def pages() -> list[Path]:
    files = [*WEB.glob("pages/*.py"), WEB / "panel.py", WEB / "controls.py", WEB / "app.py"]
    return [file for file in files if file.stem != "__init__"]


def spoken(node: ast.Call) -> list[ast.expr]:
    """What a call of a Gradio component shows as words."""
    name = ast.unparse(node.func)
    if not name.startswith("gr."):
        return []
    found = [keyword.value for keyword in node.keywords if keyword.arg in SPOKEN]
    return found + (node.args[:1] if name.removeprefix("gr.") in FIRST else [])


@pytest.mark.parametrize("file", pages(), ids=lambda file: file.stem)
def test_no_page_has_words_of_its_own(file):
    wrong = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            wrong += [
                f"{file.name}:{text.lineno} {ast.unparse(text)[:60]}"
                for text in spoken(node)
                if isinstance(text, ast.Constant | ast.JoinedStr)
                and re.search("[a-z]{2}", ast.unparse(text))
                and ast.unparse(text) != "f'{TITLE}'"
            ]
    assert wrong == []


def test_every_key_that_is_asked_for_is_there():
    """Keys that are written out whole; those put together are asked for when a page is built."""
    wrong = []
    for file in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("t", "say"):
                continue
            key = node.args[0 if ast.unparse(node.func) == "t" else 1]
            if isinstance(key, ast.Constant) and key.value not in table():
                wrong.append(f"{file.name}:{node.lineno} {key.value}")
    assert wrong == []


@pytest.mark.parametrize(
    ("asked", "language"),
    [("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-GB", "en"), ("de,ko;q=0.5", "ko"), ("KO", "ko"),
     ("de-DE,fr", "en"), ("", "en"), (";;,,", "en"), ("kok-IN", "en")],
)  # fmt: skip
def test_the_browser_chooses_the_language(asked, language):
    assert language_of({"accept-language": asked}) == language


def test_without_a_browser_it_is_english():
    assert language_of(None) == "en" and language_of({}) == "en"


def test_words_with_values_in_them():
    assert say("en", "job.left", time="2 min") == "about 2 min left"
    assert say("ko", "job.left", time="2분") == "약 2분 남음"
    assert "{x}" in say("en", "job.waits", other="{x}")  # a user's name is not a place


def test_labels_are_translated_in_the_browser():
    assert t("panel.stop").to_dict()["key"] == "panel.stop"
    with pytest.raises(KeyError, match="panel.sing"):
        t("panel.sing")
    both = translations()
    assert tuple(both) == LANGUAGES
    assert both["en"].keys() == both["ko"].keys() == table().keys()
