import re
from html.parser import HTMLParser

import pytest
from browser import chromium, opened  # noqa: F401
from check_sounds import music, write
from evaluations import HOSTILE, PROMPTS, clip, evaluation, numbers

from acestep.data.files import write_json
from acestep.judging.layout import Question
from acestep.judging.media import media
from acestep.judging.page import answer_kind, bit_rate, page, write_page
from acestep.judging.page_sounds import choose_shown
from acestep.judging.report import laid_out, write_report

VOID = {"meta", "br", "img", "input"}


class Reader(HTMLParser):
    """Tags with their attributes, texts, and that what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every text of a person's is hostile."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_report(folder, evaluation(folder, text=HOSTILE))
    return folder


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(text):
    return Reader(text)


def test_the_verdict_comes_first_in_words(reader):
    said = " ".join(reader.texts)
    places = [
        said.index(words)
        for words in (
            "It learned your style: use epoch_20 at strength 1.", "fairly sure: 83 %",
            "Did it learn your style?", "Is it copying?", "Clips lie nearer to your songs",
            "The same words and the same noise", "Distance of the clips to your songs",
            "Loss while it trained", "Nothing was copied.", "The style comes without the tag too.",
            "Out: what copies.", "of 3 songs", "The held-out loss rises", "record more",
            "attention+mlp",
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_every_chapter_is_there_and_linked(reader):
    links = [attrs["href"] for attrs in reader.named("a")]
    sections = [attrs["id"] for attrs in reader.named("section")]
    assert [f"#{section}" for section in sections] == [link for link in links if link[0] == "#"]
    assert {"listen", "style", "evidence", "copying", "tag", "choice", "grid", "controls", "next",
            "dataset", "settings"} == set(sections)  # fmt: skip
    assert "ab.html" in links


def test_names_are_text_and_nothing_else(reader):
    assert {tag for tag, _ in reader.tags} & {"iframe", "link", "object", "embed", "form"} == set()
    assert len(reader.named("script")) == 1  # ours
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    said = "".join(reader.texts)
    for words in ("zztune, accordion 01", "song 0.flac", "record more", "nearest of all"):
        assert f"{words}{HOSTILE}" in said


def test_it_needs_nothing_from_elsewhere(reader, text):
    sources = [attrs["src"] for _, attrs in reader.tags if "src" in attrs]
    assert sources and all(source.startswith("data:") for source in sources)
    assert not re.search(r"url\(|@import", text)
    (policy,) = [a["content"] for a in reader.named("meta") if "http-equiv" in a]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_base_and_adapter_stand_side_by_side_at_the_same_seed(reader, folder):
    labels = [attrs["aria-label"] for attrs in reader.named("button")]
    for prompt, base, adapter in zip(PROMPTS[:6], labels[:12:2], labels[1:12:2], strict=True):
        seed = 42 + int(prompt)
        assert base.startswith(f"Play base, seed {seed}: zztune, accordion {prompt}")
        assert adapter.startswith(f"Play epoch_20, seed {seed}: zztune, accordion {prompt}")


def test_the_grid_holds_every_checkpoint_on_every_prompt_and_no_clip_twice(reader):
    players = [a for a in reader.named("div") if a.get("class") == "player"]
    rows = [a["data-row"] for a in players if a["data-row"].startswith("prompt")]
    assert len(rows) == 6 * 2 + 6 * 3  # side by side, and in the grid
    audio = reader.named("audio")
    assert len({a["id"] for a in audio}) == len(audio) == len({a["src"] for a in audio})
    assert {a["data-clip"] for a in players} == {a["id"] for a in audio}
    assert all(a["aria-label"] for a in audio)


def test_a_copy_is_heard_beside_its_song(text):
    chapter = text[text.index('id="copying"') : text.index('id="tag"')]
    reader = Reader(f"<section {chapter.rpartition('<section')[0]}")
    labels = [attrs["aria-label"] for attrs in reader.named("button")]
    song = f"song 0.flac{HOSTILE}"
    assert labels == ["Play epoch_20 at 1.2, 0:00 to 0:00", f"Play {song} from 0:02"]
    assert f"epoch_20 at 1.2 follows {song}" in "".join(reader.texts)


def test_tables_have_their_controls(reader):
    captions = [t for t in reader.texts if t.startswith(("Style, with", "Every clip", "Controls"))]
    assert len(captions) >= 3
    said = "".join(reader.texts)
    for words in (
        "planted copies",
        "3 of 3",
        "✔ as expected",
        "✖ not as expected",
        "Dashed: base 0.9; floor (songs against songs) 0.02.",
        "90 % intervals",
    ):
        assert words in said  # fmt: skip


def test_clips_that_are_gone_are_gaps_that_are_named(tmp_path):
    report = evaluation(tmp_path, prompts=2)
    (tmp_path / report["clips"][0]["file"]).unlink()
    (tmp_path / report["clips"][1]["file"]).write_bytes(b"")
    text = page(laid_out(report, tmp_path), tmp_path)
    said = "".join(Reader(text).texts)
    assert "The clip cannot be read." in said
    assert "base-01-1-tag.flac" in said and "base-02-1-tag.flac" in said


@pytest.mark.parametrize(
    "change",
    [
        {"clips": []},
        {"checkpoints": [], "strengths": [], "tag": [], "choice": {}},
        {"base": None, "curves": {}, "prompts": [], "controls": {"rows": []}, "advice": None},
        {"curves": {"steps": [[1], None, "x", [1, 2, "nan"]], "held_out": 3}},
        {"checkpoints": [{"name": "a", "style": {"energy": "x", "aspects": [1, None, {}]}}]},
        {"checkpoints": [{"name": "a", "copies": {"clips": [None, 3, {"grade": "strong"}]}}]},
        {"verdict": {"headline": "\ud800 lone"}},
        {"choice": {"checkpoint": "gone", "strength": 0.3}},
    ],
)
def test_whatever_is_missing_the_page_is_whole(folder, change):
    report = {**numbers(), **change}
    read = Reader(page(laid_out(report, folder), folder))
    said = "".join(read.texts)
    assert len(read.named("h1")) == 1 and len(read.named("section")) >= 5
    headline = "lone" if "verdict" in change else "It learned your style: use epoch_20"
    for words in (headline, "song 0.flac", "record more", "attention+mlp"):  # the rest is there
        assert words in said


def test_a_page_holds_as_much_as_it_can(tmp_path):
    many = [f"epoch_{number}" for number in range(1, 31)]
    report = numbers()
    report["checkpoints"] = [{"name": name} for name in many]
    report["clips"] = [clip(name, prompt) for name in ("base", *many) for prompt in PROMPTS]
    report["choice"] = {"checkpoint": "epoch_14", "strength": 1.0}
    report["prompts"][4]["kind"] = "own"
    shown = choose_shown(laid_out(report, tmp_path))
    names = [name for name, _ in shown.columns]
    assert len(names) <= 13 and {"base", "epoch_1", "epoch_14", "epoch_30"} <= set(names)
    assert names == ["base", *sorted(names[1:], key=lambda name: int(name[6:]))]
    assert [prompt.id for prompt in shown.prompts][:2] == ["05", "01"]
    assert len(shown.prompts) * len(names) <= 48
    assert 12 * 30 * bit_rate(12, 30) / 8 < 9e3 < 500 * 30 * bit_rate(500, 30) / 8


def test_five_checkpoints_and_six_prompts_of_half_a_minute_are_no_burden(tmp_path):
    """One clip of 30 s is measured; 36 of them and what else is heard stay below 15 MB."""
    report = numbers(prompts=1)
    report["clips"] = report["clips"][:1]
    report["about"]["clip_seconds"] = 30.0
    write(tmp_path / report["clips"][0]["file"], music(30))
    laid = laid_out(report, tmp_path)
    kbit = bit_rate((6 + 2) * (6 + 1), 30.0)
    assert 32 <= kbit < 64
    one = media(tmp_path / laid.clips[0].file, kbit)
    assert 56 * (len(one.audio) + 2 * len(one.picture)) < 15e6


@pytest.mark.parametrize(
    ("answer", "number", "kind"),
    [("yes", 0, "good"), ("no", 0, "bad"), ("yes", 1, "bad"), ("no", 1, "good"),
     ("partly", 1, "warn"), ("cannot be told", 1, "plain"), ("epoch_20", 3, "plain")],
)  # fmt: skip
def test_a_yes_to_copying_is_no_good_news(answer, number, kind):
    assert answer_kind(Question(question="?", answer=answer), number) == kind


# In a browser


def test_every_player_plays_and_one_at_a_time(tmp_path, chromium):  # noqa: F811
    write_report(tmp_path, evaluation(tmp_path, seconds=8.0, prompts=1))
    with opened(chromium, tmp_path / "report.html") as page:
        page.wait_for_function(
            "() => [...document.querySelectorAll('audio')].every((one) => one.readyState >= 1)"
        )
        # a clip takes two minutes: however slowly this goes on, none comes to its end
        page.evaluate("document.querySelectorAll('audio').forEach((one) => one.playbackRate /= 16)")
        base, adapter = (page.locator("#listen .player").nth(n) for n in (0, 1))
        playing = "[...document.querySelectorAll('audio')].filter((one) => !one.paused).length"
        place = (
            "(n) => document.getElementById(document.querySelectorAll('.player')[n].dataset.clip)"
            ".currentTime"
        )
        base.get_by_role("button").focus()
        page.keyboard.press("Space")
        page.wait_for_function(place + " > 0.2", arg=0)
        assert page.evaluate(playing) == 1
        assert base.get_by_role("button").get_attribute("aria-pressed") == "true"
        adapter.get_by_role("button").click()
        # it goes on from the same moment
        assert page.evaluate(playing) == 1 and page.evaluate(place, 1) > 0.2
        assert base.get_by_role("button").get_attribute("aria-pressed") == "false"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Space")
        assert page.evaluate(playing) == 0


def test_the_grid_shows_what_plays_above(folder, chromium):  # noqa: F811
    with opened(chromium, folder / "report.html") as page:
        key = page.locator(".player").first.get_attribute("data-clip")
        page.locator(".player button").first.click()
        page.wait_for_function(
            "(key) => parseFloat(document.querySelector(`#grid [data-clip=${key}] .here`)"
            ".style.left) > 0",
            arg=key,
        )
        moved = page.evaluate(
            "[...document.querySelectorAll('.player')].filter((one) => "
            "parseFloat(one.querySelector('.here').style.left) > 0).map((one) => one.dataset.clip)"
        )
        assert set(moved) == {key} and len(moved) >= 2, "everywhere it is shown, and nothing else"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_or_too_faint(folder, chromium, width, scheme):  # noqa: F811
    with opened(chromium, folder / "report.html", width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        outside = page.evaluate(
            """[...document.querySelectorAll('h1, h2, h3, h4, p, li, button, dd, figure')]
            .filter((one) => !one.closest('.wide') && one.getBoundingClientRect().width > 0)
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 1
                          || one.getBoundingClientRect().left < -1)
            .map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert outside == []
        assert page.evaluate(CONTRAST) >= 4.5


def test_without_scripts_there_are_plain_players(folder, chromium):  # noqa: F811
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    assert page.locator("audio").first.is_visible()
    assert not page.locator(".player button").first.is_visible()
    context.close()


# The least contrast (WCAG 2) between a text and the ground of the page or of cards
CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('h1, h3, p, li, td, th, a, dt, dd, .badge, summary')];
  return Math.min(...texts.filter((one) => one.innerText).map((one) => {
    const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
})()"""


def test_the_page_is_written_beside_its_report(tmp_path):
    write_json(tmp_path / "report.json", numbers(prompts=0))
    assert write_page(tmp_path) == tmp_path / "report.html"
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
