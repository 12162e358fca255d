from acestep.pages import STYLE, head, paragraphs


def test_a_page_begins_with_its_own_style_and_an_escaped_title():
    text = "\n".join(head("a <b> & c"))
    assert text.startswith("<!doctype html>") and STYLE in text
    assert "<title>a &lt;b&gt; &amp; c</title>" in text and "http" not in text


def test_paragraphs_are_text():
    assert list(paragraphs(["<i>"])) == ["<p>&lt;i&gt;</p>"]
    assert list(paragraphs(["one", "two"], "quiet")) == [
        '<p class="quiet">one</p>', '<p class="quiet">two</p>',
    ]  # fmt: skip
