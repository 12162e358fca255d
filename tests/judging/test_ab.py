import base64
import io
import json
import random
import re

import numpy as np
import pytest
import soundfile as sf
from browser import chromium, opened  # noqa: F401
from evaluations import HOSTILE, evaluation
from scipy.stats import binomtest

from acestep.data.files import write_json
from acestep.errors import RunError
from acestep.judging.ab import read_key, write_ab_page
from acestep.judging.ab_page import HEADROOM, common_level, masked, matched
from acestep.judging.report import read_report
from acestep.judging.votes import count_votes
from acestep.labellers.loudness import measure_loudness, true_peak

RATE = 48_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of the base are 12 dB louder; every text is hostile."""
    folder = tmp_path_factory.mktemp("evaluation")
    write_json(folder / "report.json", evaluation(folder, text=HOSTILE))
    assert write_ab_page(folder, draw=random.Random(3)) == folder / "ab.html"
    return folder


@pytest.fixture(scope="module")
def drawn(folder):
    (test,) = read_key(folder).values()
    return test


def content_of(folder):
    text = (folder / "ab.html").read_text(encoding="utf-8")
    (content,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', text)
    return json.loads(content)


def samples(uri):
    audio, rate = sf.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert rate == RATE
    return audio.T


def test_every_pair_is_the_base_and_the_adapter_at_one_seed(folder, drawn):
    assert (drawn.checkpoint, drawn.strength, len(drawn.pairs)) == ("epoch_20", 1.0, 7)
    clips = {clip["file"]: clip for clip in read_report(folder)["clips"]}
    for pair in drawn.pairs:
        adapter, base = (pair.a, pair.b) if pair.adapter == "a" else (pair.b, pair.a)
        assert clips[base]["adapter"] == "base" and clips[adapter]["adapter"] == "epoch_20"
        assert clips[base]["seed"] == clips[adapter]["seed"] and clips[base]["tag"]
    assert {pair.adapter for pair in drawn.pairs} == {"a", "b"}
    assert [clips[pair.a]["prompt"] for pair in drawn.pairs] != sorted(
        clips[pair.a]["prompt"] for pair in drawn.pairs
    )


def test_the_page_names_neither_files_nor_sides(folder, drawn):
    text = (folder / "ab.html").read_text(encoding="utf-8")
    assert not re.search(r"clips/|\.flac\"", text)
    bits = [pair["key"] for pair in content_of(folder)["pairs"]]
    sides = [int(pair.adapter == "b") for pair in drawn.pairs]
    assert bits == [masked(drawn, pair) for pair in drawn.pairs]
    assert bits != sides and bits != [1 - side for side in sides]


def test_sides_and_order_are_drawn_anew_for_new_tests(tmp_path):
    sides, orders = [], []
    report = evaluation(tmp_path, seconds=0.3)
    write_json(tmp_path / "report.json", report)
    for seed in range(4):
        (tmp_path / "ab_key.json").unlink(missing_ok=True)
        write_ab_page(tmp_path, draw=random.Random(seed))
        (test,) = read_key(tmp_path).values()
        sides += [pair.adapter for pair in test.pairs]
        orders.append(tuple(sorted((pair.a, pair.b)) for pair in test.pairs)[0][0])
    assert 6 < sides.count("a") < 22 and len(set(orders)) > 1


def test_clips_of_the_page_are_equally_loud(folder):
    content = content_of(folder)
    clips = [samples(pair[side]) for pair in content["pairs"] for side in "ab"]
    clips += [samples(song["audio"]) for song in content["songs"]]
    levels = [measure_loudness(clip, RATE).integrated for clip in clips]
    assert max(levels) - min(levels) < 0.5  # LU; before, pairs were 12 apart
    assert max(true_peak(clip) for clip in clips) < HEADROOM + 0.7  # Opus overshoots a little


def test_loudness_is_matched_without_clipping():
    rng = np.random.default_rng(0)
    quiet = (0.01 * rng.standard_normal((2, RATE))).astype(np.float32)
    spiky = quiet.copy()
    spiky[:, RATE // 2] = 0.9
    level = common_level([quiet, spiky])
    for clip in (quiet, spiky):
        same = matched(clip, level)
        assert measure_loudness(same, RATE).integrated == pytest.approx(level, abs=0.01)
        assert true_peak(same) < HEADROOM + 1e-6
    silence = np.zeros((2, RATE), np.float32)
    assert np.array_equal(matched(silence, level), silence)


def test_a_page_that_is_written_again_keeps_the_test(folder, drawn):
    before = content_of(folder)
    write_ab_page(folder)
    after = content_of(folder)
    for pair in (*before["pairs"], *after["pairs"]):
        del pair["a"], pair["b"]  # an Ogg stream has a number of its own, drawn by the library
    assert before["pairs"] == after["pairs"] and list(read_key(folder)) == [drawn.digest]


def test_keys_of_earlier_tests_are_kept(tmp_path):
    report = evaluation(tmp_path, seconds=0.3, prompts=2)
    for name in ("epoch_20", "epoch_10"):
        report["choice"]["checkpoint"] = name
        write_json(tmp_path / "report.json", report)
        write_ab_page(tmp_path)
    assert [test.checkpoint for test in read_key(tmp_path).values()] == ["epoch_20", "epoch_10"]


def test_the_strength_of_the_recommendation_is_what_is_heard(tmp_path):
    report = evaluation(tmp_path, seconds=0.3, prompts=2)
    report["choice"]["strength"] = 1.2
    write_json(tmp_path / "report.json", report)
    write_ab_page(tmp_path)
    (test,) = read_key(tmp_path).values()
    assert (test.strength, len(test.pairs)) == (1.2, 1)
    report["choice"]["strength"] = 0.7  # no clips of it
    write_json(tmp_path / "report.json", report)
    write_ab_page(tmp_path)
    assert [test.strength for test in read_key(tmp_path).values()] == [1.2, 1.0]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"tests": {"x": {}}}', b'{"tests": {"x": 3}}', b"\xff"]
)
def test_a_damaged_key_is_an_error(folder, tmp_path, content):
    (tmp_path / "ab_key.json").write_bytes(content)
    with pytest.raises(RunError, match="ab_key.json cannot be read"):
        read_key(tmp_path)


def test_a_changed_key_is_an_error(folder, tmp_path):
    record = json.loads((folder / "ab_key.json").read_text(encoding="utf-8"))
    (test,) = record["tests"].values()
    test["pairs"][0]["adapter"] = "a" if test["pairs"][0]["adapter"] == "b" else "b"
    write_json(tmp_path / "ab_key.json", record)
    with pytest.raises(RunError, match="was changed"):
        read_key(tmp_path)


def hear(page, number):
    """Play a side until half of it was heard, however busy the machine is."""
    page.keyboard.press(str(number))
    side = f"document.querySelectorAll('main audio')[{number - 1}]"
    heard = f"{side}.ended || {side}.currentTime > 0.55 * {side}.duration"
    if number == 2:  # and the page knows it
        heard = "!document.querySelector('.sides button:disabled')"
    for _ in range(3600):  # the page's policy forbids Playwright's own way of waiting
        if page.evaluate(heard):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"side {number} was not heard")


def test_votes_by_keyboard_lead_to_the_right_p(folder, drawn, chromium, tmp_path):  # noqa: F811
    wins = [True, True, True, False, True, True, None]  # of the adapter; None: no preference
    with opened(chromium, folder / "ab.html") as page:
        page.keyboard.press("Enter")
        for number, (pair, win) in enumerate(zip(drawn.pairs, wins, strict=True), 1):
            page.get_by_role("heading", name=f"Pair {number} of 7").wait_for()
            hear(page, 1)
            if number == 1:  # too early: B was not heard
                page.keyboard.press("a")
                assert "Listen to both" in page.locator(".hint").inner_text()
                assert page.get_by_role("button", name="A is nearer").is_disabled()
            hear(page, 2)
            side = pair.adapter if win else {"a": "b", "b": "a"}[pair.adapter]
            page.keyboard.press("n" if win is None else side)
            if number == 2:  # back, and again
                page.keyboard.press("Backspace")
                hear(page, 1)
                hear(page, 2)
                page.keyboard.press(side)
            if number == 3:  # a reload loses nothing
                page.reload()
                page.keyboard.press("Enter")
        result = page.locator("#result").inner_text().replace("\N{NO-BREAK SPACE}", " ")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        download.value.save_as(tmp_path / "votes.json")
        assert page.evaluate("document.querySelectorAll('img, script[src], x').length") == 0
    wanted = binomtest(5, 6).pvalue
    assert f"the adapter in 5 of 6 decided pairs (p = {wanted:.3g}" in result
    record = json.loads((tmp_path / "votes.json").read_text(encoding="utf-8"))
    assert record["result"] == {"adapter": 5, "base": 1, "same": 1, "p": pytest.approx(wanted)}
    counted = count_votes(tmp_path / "votes.json", folder)
    assert counted["p"] == pytest.approx(wanted) and counted["adapter"] == 5


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_on_any_screen(folder, chromium, width, scheme):  # noqa: F811
    with opened(chromium, folder / "ab.html", width, scheme) as page:
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 32
