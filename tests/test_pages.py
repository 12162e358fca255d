import base64
import hashlib
import re

import pytest

from acestep.pages import MARKS, STYLE, Markup, badge, head, paragraphs, table


def test_a_page_begins_with_its_own_style_and_an_escaped_title():
    text = "\n".join(head("a <b> & c"))
    assert text.startswith("<!doctype html>") and STYLE in text
    assert "<title>a &lt;b&gt; &amp; c</title>" in text and "http" not in text


def test_paragraphs_are_text():
    assert list(paragraphs(["<i>"])) == ["<p>&lt;i&gt;</p>"]
    assert list(paragraphs(["one", "two"], "quiet")) == [
        '<p class="quiet">one</p>', '<p class="quiet">two</p>',
    ]  # fmt: skip


def test_a_sealed_page_runs_its_own_script_only():
    script = "document.title = 'x';"
    text = "\n".join(head("a", script=script))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and f"<script>{script}</script>" in text
    assert "default-src 'none'" in text
    without = "\n".join(head("a", script=""))
    assert "script-src 'none'" in without and "<script" not in without
    assert "Content-Security-Policy" not in "\n".join(head("a"))


def test_a_table_holds_texts_and_its_caption_names_it():
    rows = [("<a>", "1", badge("<fine>", "good")), ("b", "2", "<i>")]
    text = "".join(table("<t>", ("name", "n", ""), rows, strong=1))
    assert 'aria-label="&lt;t&gt;" tabindex="0"' in text and "<caption><span>&lt;t&gt;" in text
    assert re.findall('<th scope="row">(.*?)</th>', text) == ["&lt;a&gt;", "b"]
    assert '<span class="badge good">✔ &lt;fine&gt;</span>' in text and "<td>&lt;i&gt;</td>" in text
    assert text.count('<tr class="strong">') == 1 and text.index("strong") > text.index("&lt;a&gt;")


def test_cells_of_words_carry_the_name_of_their_column():
    text = "".join(table("t", ("a", "b <", "c"), [("x", "y", "")], words=True))
    assert '<td data-name="b &lt;">y</td>' in text and "<td></td>" in text


def test_long_cells_are_broken_into_lines():
    text = "".join(table("t", ("a", "b"), [("x", "y" * 41)]))
    assert f'<span class="long">{"y" * 41}</span>' in text


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="zip"):
        list(table("t", ("a", "b"), [("x",)]))


@pytest.mark.parametrize("kind", MARKS)
def test_a_badge_says_more_than_its_colour(kind):
    assert badge("yes", kind) == f'<span class="badge {kind}">{MARKS[kind]} yes</span>'
    assert isinstance(badge("yes", kind), Markup)
