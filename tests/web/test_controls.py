"""A page's controls are the knobs, and its values go the way of the command line."""

import itertools
from pathlib import Path

import gradio as gr
import pytest

from acestep.config import COMMANDS
from acestep.errors import ConfigError
from acestep.flags import parse
from acestep.knobs import Knob, knobs
from acestep.web.controls import command, control, is_slider, knob_of
from acestep.web.words import table, translations

SHOWN = [
    (verb, knob)
    for verb, config in COMMANDS.items()
    for knob in knobs(config)
    if f"knob.{verb}.{knob.name}" in table()
]


def shown(verb: str, knob: Knob) -> gr.components.Component:
    with gr.Blocks(analytics_enabled=False):
        return control(verb, knob.name)


@pytest.mark.parametrize(
    ("verb", "knob"), SHOWN, ids=[f"{verb}-{knob.name}" for verb, knob in SHOWN]
)
def test_page_and_command_line_agree(verb, knob):
    component = shown(verb, knob)
    english = translations()["en"]
    assert english[component.label.key].strip()
    assert english[component.info.key] == knob.help
    default = component.value
    match component:
        case gr.Slider():
            assert (component.minimum, component.maximum) == knob.recommended
            assert default == knob.default
        case gr.Checkbox():
            assert default == bool(knob.default)
        case gr.Dropdown():
            offered = [value for _, value in component.choices]
            assert offered == [*([""] if knob.default is None else []), *knob.choices]
            assert (default or None) == knob.default
        case gr.Number():
            assert default == knob.default
        case _:
            assert isinstance(component, gr.Textbox) and default == knob.default_text()
    # Left alone, a control says nothing: the default is the config's to know
    if knob.flags:
        required = {k.name: "x" for k in knobs(COMMANDS[verb]) if k.required and k.kind != "choice"}
        assert command(verb, {**required, knob.name: default}) == command(verb, required)


def test_the_guides_training_table_is_on_the_page():
    ranges = {name: knob_of("train", name) for name in ("rank", "dropout", "epochs", "save_every")}
    sliders = {name: shown("train", knob) for name, knob in ranges.items()}
    assert all(isinstance(slider, gr.Slider) for slider in sliders.values())
    expected = {"rank": (64, 8, 256), "dropout": (0.1, 0, 0.5), "epochs": (500, 100, 2000)}
    expected["save_every"] = (200, 50, 500)
    for name, slider in sliders.items():
        assert (slider.value, slider.minimum, slider.maximum) == expected[name]
    rate = knob_of("train", "learning_rate")
    assert not is_slider(rate) and rate.default == 1e-4 and rate.recommended == (1e-5, 1e-3)


def test_a_slider_takes_what_the_config_takes():
    """The guide: a script may go below the least number of epochs."""
    slider = shown("train", knob_of("train", "epochs"))
    assert slider.preprocess(3) == 3 and slider.preprocess(3.0) == 3
    assert isinstance(slider.preprocess(3.0), int) and slider.preprocess(None) is None
    assert shown("train", knob_of("train", "dropout")).preprocess(0.15) == 0.15


def test_values_become_the_words_of_a_command_line():
    values = {"tensors": "my tensors", "rank": 32, "learning_rate": 3e-4, "dropout": 0.1,
              "epochs": 20.0, "output": "", "alpha": None}  # fmt: skip
    words = command("train", values)
    assert words[:2] == ["train", "my tensors"]
    pairs = {tuple(words[place : place + 2]) for place in range(2, len(words), 2)}
    assert pairs == {("--rank", "32"), ("--epochs", "20"), ("--learning-rate", "3e-4")}
    config = parse("train", words[1:]).config
    assert (config.rank, config.epochs, config.learning_rate) == (32, 20, 3e-4)


HOSTILE = [
    "-rf", "--help", "a b", "'; rm -rf /", "$(id)", "`id`", "<script>", "노래 🎷", "-1", "--output",
    "a\nb", "=x", "--json",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_taken_for_a_flag(text):
    words = command("generate", {"caption": text, "output": "out.wav"})
    config = parse("generate", words[1:]).config
    assert config.caption == text and str(config.output) == "out.wav"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_place_is_taken_for_a_flag(text):
    words = command("scan", {"songs": text, "output": "d.json"})
    config = parse("scan", words[1:]).config
    assert config.songs == Path(text)


def test_switches_go_both_ways():
    for verb, config in COMMANDS.items():
        required = {knob.name: "x" for knob in knobs(config) if knob.required}
        for knob, value in itertools.product(knobs(config), (True, False)):
            if knob.kind != "switch" or any(
                k.required and k.kind == "choice" for k in knobs(config)
            ):
                continue
            try:
                words = command(verb, {**required, knob.name: value})
            except ConfigError:
                continue  # two switches that disagree
            assert vars(parse(verb, words[1:]).config)[knob.name] in (value, value or None)


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        command("train", {"tensors": "t", "rank": 0, "dropout": 7, "epochs": "many"})
    text = str(caught.value)
    assert all(flag in text for flag in ("--rank 0", "--dropout 7", "--epochs many"))


def test_a_place_is_not_taken_for_one_of_a_flags_values():
    """Flags of several values read on until the next flag."""
    several = [
        (verb, knob)
        for verb, config in COMMANDS.items()
        for knob in knobs(config)
        if knob.count not in (1, None) and any(not other.flags for other in knobs(config))
    ]
    assert several
    for verb, knob in several:
        places = {other.name: "here" for other in knobs(COMMANDS[verb]) if not other.flags}
        value = " ".join(["0.5"] * knob.count)
        if knob.default_text() != value:
            assert command(verb, {**places, knob.name: value})[1:] != []


def test_lists_are_lines():
    knob = next(k for k in knobs(COMMANDS["generate"]) if k.count is None)
    words = command("generate", {knob.name: "one\n\n two words \n", "output": "o.wav"})
    assert words.count(knob.flags[0]) == 2 and "two words" in words
    assert words == command("generate", {knob.name: ["one", "two words"], "output": "o.wav"})


def test_there_is_no_such_knob():
    with pytest.raises(KeyError):
        knob_of("train", "loudness")
