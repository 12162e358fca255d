"""Anything that is measured becomes strict JSON."""

import json
import math
from dataclasses import dataclass

from acestep.data.plain import plain


@dataclass(frozen=True)
class Inner:
    value: float


@dataclass(frozen=True)
class Outer:
    name: str
    parts: tuple[Inner, ...]
    table: dict[int, Inner]


def test_dataclasses_become_tables_to_their_depths():
    value = Outer("é <b>", (Inner(1.5), Inner(math.nan)), {3: Inner(-math.inf)})
    expected = {
        "name": "é <b>",
        "parts": [{"value": 1.5}, {"value": None}],
        "table": {"3": {"value": None}},
    }
    assert plain(value) == expected
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected


def test_plain_values_stay_as_they_are():
    assert [plain(value) for value in (None, True, 3, 0.1, "x")] == [None, True, 3, 0.1, "x"]
