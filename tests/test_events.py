"""Events survive their line of JSON, and the line is strict JSON."""

import json
import math
from dataclasses import MISSING, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep import events
from acestep.events import KINDS, from_json, to_json

TEXT = st.text()
FACTS = st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none() | st.lists(TEXT))
BY_TYPE = {
    str: TEXT,
    int: st.integers(),
    float: st.floats(allow_nan=False),
    float | None: st.none() | st.floats(allow_nan=False),
    dict[str, float]: st.dictionaries(TEXT, st.floats(allow_nan=False)),
}


def strategy(kind: type) -> st.SearchStrategy:
    values = {f.name: BY_TYPE.get(f.type, FACTS) for f in fields(kind)}
    return st.builds(kind, **values)


@given(st.sampled_from(sorted(KINDS)).flatmap(lambda name: strategy(KINDS[name])))
def test_every_event_comes_back_from_its_line_as_it_was(event):
    line = to_json(event)
    assert "\n" not in line and "\r" not in line
    assert from_json(line) == event


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_written_strictly_and_come_back(number):
    line = to_json(events.Step(3, 1, number, 1e-4, 0.5))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(line, parse_constant=refuse)
    loss = from_json(line).loss
    assert math.isnan(loss) if math.isnan(number) else loss == number


def test_a_line_carries_its_kind_and_every_field():
    record = json.loads(to_json(events.Saved("checkpoint", "runs/jazz/checkpoints/epoch_200")))
    assert record == {
        "event": "saved",
        "what": "checkpoint",
        "path": "runs/jazz/checkpoints/epoch_200",
    }


def test_fields_of_a_newer_version_are_ignored():
    line = '{"event": "saved", "what": "audio", "path": "a.flac", "mood": "blue"}'
    assert from_json(line) == events.Saved("audio", "a.flac")


@pytest.mark.parametrize("line", ["", "[]", "3", "{}", '{"event": "sung"}', '{"event": ["saved"]}'])
def test_other_lines_are_refused(line):
    with pytest.raises((ValueError, TypeError)):
        from_json(line)


def test_events_are_frozen_and_the_union_names_them_all():
    declared = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and kind.__module__ == events.__name__
    }
    assert declared == set(KINDS.values())
    for kind in declared:
        required = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
        event = kind(**dict.fromkeys(required, 1))
        with pytest.raises(AttributeError):
            setattr(event, required[0], 2)
