import re
from html.parser import HTMLParser

import numpy as np
import pytest
from check_sounds import RATE, music

from acestep.checking.finding import Finding
from acestep.checking.page import page
from acestep.checking.report import make_report
from acestep.checking.signal import measure
from acestep.checking.sound import Sound

HOSTILE = "<script>alert('1')</script>\"><img src=http://evil.example/x onerror=alert(1)>.wav"


class Reader(HTMLParser):
    """Keeps tags and texts, and sees that what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
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
def text():
    loud = measure(Sound(np.clip(4 * music(4), -1, 1), RATE))
    return page(
        make_report(
            HOSTILE,
            [(HOSTILE, 4.0, loud), ("gone & lost.wav", 0.0, None)],
            [
                Finding("clipped", "error", HOSTILE, f"it is clipped: {HOSTILE}", HOSTILE, HOSTILE),
                Finding("no-tag", "warning", None, "there is no tag", "give one"),
            ],
        )
    )


def test_it_is_whole_and_says_what_was_found(text):
    reader = Reader(text)
    assert reader.open == []
    said = " ".join(reader.texts)
    assert "70 of 100" in said and "there is no tag" in said and "give one" in said
    assert f"it is clipped: {HOSTILE}" in said and "gone & lost.wav" in said


def test_names_are_text_and_nothing_else(text):
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} & {"script", "img", "iframe", "link", "object"} == set()
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    labels = [attrs["aria-label"] for attrs in reader.named("svg")]
    assert labels == [f"Waveform of {HOSTILE}", f"Spectrum of {HOSTILE}"]


def test_it_needs_nothing_from_elsewhere(text):
    reader = Reader(text)
    assert not any({"src", "href", "data"} & attrs.keys() for _, attrs in reader.tags)
    assert not re.search(r"url\(|@import", text)


def test_waveform_and_spectrum_are_drawn(text):
    reader = Reader(text)
    (wave,), (spectrum,) = reader.named("polygon"), reader.named("polyline")
    heights = [float(point.split(",")[1]) for point in wave["points"].split()]
    assert len(heights) == 800 and min(heights) == 0 and max(heights) == 80  # clipped: full height
    points = [tuple(map(float, point.split(","))) for point in spectrum["points"].split()]
    assert points[0][0] == 0 and points[-1][0] == 400 and min(y for _, y in points) == 0


def test_a_cliff_is_marked():
    audio = np.random.default_rng(0).standard_normal((2, 4 * RATE))
    spectra = np.fft.rfft(audio, axis=1)
    spectra[:, 4 * 12_000 :] = 0
    dull = measure(Sound((0.1 * np.fft.irfft(spectra)).astype(np.float32), RATE))
    (edge,) = Reader(page(make_report("x", [("a", 4.0, dull)], []))).named("line")
    assert float(edge["x1"]) == pytest.approx(200, abs=4)
