"""Colours that can be read, and nothing that is fetched from elsewhere."""

import re

import pytest

from acestep.web.theme import CSS, theme


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # WebAIM's example


@pytest.mark.parametrize("scheme", ["", "_dark"])
def test_texts_can_be_read_on_their_backgrounds(scheme):
    colours = vars(theme())
    pairs = [
        ("body_text_color_subdued", "body_background_fill"),
        ("body_text_color_subdued", "block_background_fill"),
        ("block_info_text_color", "block_background_fill"),
        ("block_label_text_color", "block_background_fill"),
        ("block_title_text_color", "block_background_fill"),
        ("button_primary_text_color", "button_primary_background_fill"),
        ("button_primary_text_color", "button_primary_background_fill_hover"),
    ]
    weak = {
        pair: round(contrast(colours[pair[0] + scheme], colours[pair[1] + scheme]), 2)
        for pair in pairs
        if contrast(colours[pair[0] + scheme], colours[pair[1] + scheme]) < 4.5
    }
    assert weak == {}


def test_fonts_and_styles_come_from_this_machine():
    assert not re.search(r"@import|url\(|https?:", CSS)
    made = theme()
    assert vars(made)["_stylesheets"] == []
    assert "http" not in str(vars(made)["_font_css"])
