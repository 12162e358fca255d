"""The page is well-formed, links to what is there, and shows texts as they were written."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from acestep.mini.page import Clip, Page, Shelf, Table, write_page

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Collects elements and texts, and fails on tags that do not close in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"] and data.strip():
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def links(reader: Reader) -> list[str]:
    return [a[key] for _, a in reader.elements for key in ("src", "href") if key in a]


@pytest.fixture
def page(tmp_path):
    odd = tmp_path / "clips" / 'a "b" & c #1?.wav'
    picture = tmp_path / "clips" / "a.png"
    losses = tmp_path / "runs" / "x" / "loss.png"
    for file in (odd, picture, losses):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    clip = Clip("With <1>", "made & measured", odd, picture)
    table = Table("two sets", ("clips", "distance"), [("base", "1.00"), ("<b>", "0.25")], 1)
    return Page(
        "What <em> taught", ["One & two."], table, ["Distance: far."],
        [Shelf("Hear", "Listen.", [[clip, Clip("Song", "plain", odd)]]), Shelf("More", "", [])],
        losses, "It fell.", ["$ acestep scan 'a b' && echo <done>"],
    )  # fmt: skip


def test_every_link_is_relative_and_there(page, tmp_path):
    write_page(tmp_path / "index.html", page)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    found = links(Reader(text))
    assert len(found) == 6
    for link in found:
        assert not link.startswith(("/", "http", "file"))
        assert (tmp_path / unquote(link)).is_file(), link
    assert "http" not in text and "<script" not in text and "@import" not in text


def test_a_moved_folder_keeps_its_links(page, tmp_path):
    write_page(tmp_path / "pages" / "index.html", page)
    for link in links(Reader((tmp_path / "pages" / "index.html").read_text(encoding="utf-8"))):
        assert Path(tmp_path / "pages" / unquote(link)).is_file()


def test_it_can_be_heard_and_read_without_seeing(page, tmp_path):
    write_page(tmp_path / "index.html", page)
    reader = Reader((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("h1")) == len(reader.all("main")) == len(reader.all("header")) == 1
    assert [image["alt"] for image in reader.all("img")] == [
        "Spectrogram of Hear: With <1>",
        "Loss over the steps of the training",
    ]
    players = reader.all("audio")
    assert len({player["aria-label"] for player in players}) == len(players) == 2
    assert all("controls" in player and "autoplay" not in player for player in players)
    assert {cell["scope"] for cell in reader.all("th")} == {"col", "row"}
    assert len(reader.all("caption")) == 1


def test_texts_are_shown_as_they_are_written(page, tmp_path):
    write_page(tmp_path / "index.html", page)
    reader = Reader((tmp_path / "index.html").read_text(encoding="utf-8"))
    shown = "\n".join(reader.texts)
    for text in ("What <em> taught", "One & two.", "With <1>", "<b>", "&& echo <done>"):
        assert text in shown
    assert not reader.all("em") and not reader.all("done") and not reader.all("b")


def test_one_row_stands_out_and_the_terminal_gets_the_same_numbers(page, tmp_path):
    write_page(tmp_path / "index.html", page)
    rows = Reader((tmp_path / "index.html").read_text(encoding="utf-8")).all("tr")
    assert [row.get("class") for row in rows] == [None, None, "strong"]
    assert page.table.text().splitlines() == [
        "      distance",
        "base      1.00",
        "<b>       0.25",
    ]
