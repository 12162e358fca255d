"""Knobs: what a walk over a config finds, and what is said about values."""

import json
from pathlib import Path
from typing import Literal

import pytest
from pydantic import AliasChoices

from acestep.config import COMMANDS, Config, TrainConfig, knob
from acestep.errors import ConfigError
from acestep.knobs import (
    Positional,
    build,
    knob_records,
    knob_table,
    knobs,
    knobs_page,
    nearest,
    number,
    outside_recommended,
)

ROOT = Path(__file__).resolve().parents[1]


class Stage(Config):
    """A config with one knob of each kind."""

    place: Positional[Path] = knob(..., "Where.")
    output: Path = knob(Path("out"), "Target.", validation_alias=AliasChoices("output", "o"))
    seats: int = knob(100, "How many.", ge=1, le=999, recommended=(50, 200))
    volume: float | None = knob(None, "How loud.", gt=0, lt=1)
    span: tuple[float, float] = knob((0.0, 1.0), "From and to.")
    players: list[Path] = knob([], "Who plays.")
    mood: Literal["blue", "red"] = knob("blue", "Light | colour.")
    open_air: bool | None = knob(None, "Outside.")
    echo: float = knob(100.0, "Of the seats.", recommended=(1, 4), times="seats")
    fee: float = knob(1.0, "Price.", recommended=(2, 5), unless=("mood", "red"))


def test_a_walk_finds_kind_flags_limits_and_counts():
    found = {record["name"]: record for record in knob_records(Stage)}
    assert list(found) == list(Stage.model_fields)
    assert found["place"]["flags"] == [] and found["place"]["required"]
    assert found["output"]["flags"] == ["--output", "-o"] and found["output"]["default"] == "out"
    assert found["open_air"]["flags"] == ["--open-air"]
    kinds = {name: record["kind"] for name, record in found.items()}
    assert kinds == {
        "place": "path",
        "output": "path",
        "seats": "integer",
        "volume": "number",
        "span": "number",
        "players": "path",
        "mood": "choice",
        "open_air": "switch",
        "echo": "number",
        "fee": "number",
    }
    assert found["seats"]["limits"] == {"ge": 1, "le": 999}
    assert found["seats"]["recommended"] == [50, 200]
    assert found["volume"]["limits"] == {"gt": 0, "lt": 1}
    assert [found[name]["count"] for name in ("seats", "span", "players")] == [1, 2, None]
    assert found["mood"]["choices"] == ["blue", "red"]
    assert found["echo"]["times"] == "seats" and found["fee"]["unless"] == ["mood", "red"]


def test_what_a_value_must_be_is_said_in_words():
    allowed = {knob.name: knob.allowed() for knob in knobs(Stage)}
    assert allowed["seats"] == "a whole number, from 1 to 999"
    assert allowed["volume"] == "a number, above 0 and below 1"
    assert allowed["span"] == "2 values, each a number"
    assert allowed["players"] == "a path"
    assert allowed["mood"] == "one of blue, red"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seats": "x"}, "--seats x: must be a whole number, from 1 to 999; recommended: 50–200"),
        ({"seats": 1000}, "--seats 1000: must be a whole number, from 1 to 999; recommended: 50–"),
        ({"volume": 1}, "--volume 1: must be a number, above 0 and below 1"),
        ({"span": ["1"]}, "--span 1: must be 2 values, each a number"),
        ({"span": ["1", "b"]}, "--span 1 b: must be 2 values, each a number"),
        ({"mood": "green"}, "--mood green: must be one of blue, red"),
        ({"open_air": "maybe"}, "--open-air maybe: must be true or false"),
        ({"seat": 1}, "seat: unknown; did you mean seats?"),
        ({"place": ""}, "PLACE '': must be a path"),
    ],
)
def test_a_refused_value_is_named_with_its_flag_and_its_range(values, sentence):
    with pytest.raises(ConfigError) as caught:
        build(Stage, {"place": "hall", **values})
    (problem,) = caught.value.problems
    assert problem.startswith(sentence)


def test_a_list_with_several_wrong_items_is_one_problem():
    with pytest.raises(ConfigError) as caught:
        build(Stage, {"place": "hall", "span": ["a", "b"], "seats": 0})
    assert len(caught.value.problems) == 2


def test_only_given_values_outside_the_guides_range_are_mentioned():
    assert outside_recommended(Stage(place="hall")) == []
    assert outside_recommended(Stage(place="hall", seats=50, echo=200)) == []
    assert outside_recommended(Stage(place="hall", seats=49, echo=197)) == [
        "--seats 49 is outside the guide's 50–200",
        "--echo 197 is outside the guide's 49–196",
    ]
    assert outside_recommended(Stage(place="hall", fee=1)) == [
        "--fee 1 is outside the guide's 2–5"
    ]
    assert outside_recommended(Stage(place="hall", fee=1, mood="red")) == []


def test_the_guides_own_examples_get_no_warning():
    examples = [
        {"rank": 64, "alpha": 128, "learning_rate": 1e-4, "epochs": 400},
        {"rank": 128, "learning_rate": 8e-5, "epochs": 600},
        {"rank": 32, "gradient_accumulation": 2},
        {"learning_rate": 1e-5, "epochs": 2000, "batch_size": 4, "save_every": 50, "shift": 5.0},
        {"optimizer": "prodigy", "learning_rate": 1.0},
    ]
    for example in examples:
        assert outside_recommended(TrainConfig(tensors="t", **example)) == []
    assert outside_recommended(TrainConfig(tensors="t", epochs=5)) == [
        "--epochs 5 is outside the guide's 100–2000"
    ]


def test_names_that_were_probably_meant():
    flags = ["--learning-rate", "--rank", "--gradient-accumulation", "--epochs", "--output"]
    assert nearest("--learning-rat", flags) == "--learning-rate"
    assert nearest("--lr", flags) == "--learning-rate"
    assert nearest("--accum", flags) == "--gradient-accumulation"
    assert nearest("--epoch", flags) == "--epochs"
    assert nearest("--zzz", flags) is None


def test_numbers_are_written_as_people_write_them():
    assert [number(x) for x in (1e-4, 8e-5, 1.25e-5, 0.1, 0.0, 64, 2000.0, -3.5)] == [
        "1e-4",
        "8e-5",
        "1.25e-5",
        "0.1",
        "0",
        "64",
        "2000",
        "-3.5",
    ]


def test_defaults_and_ranges_are_those_that_were_agreed_on():
    golden = json.loads((ROOT / "tests/golden/knobs.json").read_text(encoding="utf-8"))
    now = {name: knob_records(config_class) for name, config_class in COMMANDS.items()}
    assert json.loads(json.dumps(now)) == golden, "meant to change? then run scripts/write_knobs.py"


def test_the_documentation_lists_the_knobs_as_they_are():
    page = (ROOT / "docs/knobs.md").read_text(encoding="utf-8")
    assert page == knobs_page(COMMANDS), "run scripts/write_knobs.py"
    assert "| `--rank` | `64` | a whole number, at least 1; recommended 8–256 |" in page


def test_a_table_keeps_its_columns():
    rows = knob_table(Stage).splitlines()
    assert len(rows) == 2 + len(Stage.model_fields)
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
