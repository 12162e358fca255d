from dataclasses import fields

import pytest

from acestep.data.fields import FIELDS, SETTINGS
from acestep.data.song import Dataset, Song


def test_every_field_of_a_song_has_a_key_and_every_key_a_field():
    kept_elsewhere = {"extra", "origin"}
    assert {item.name for item in FIELDS} == {item.name for item in fields(Song)} - kept_elsewhere
    assert len({item.guide for item in FIELDS}) == len(FIELDS)
    assert len({item.original for item in FIELDS}) == len(FIELDS)
    for settings in SETTINGS.values():
        assert {name for name, _ in settings.values()} <= {item.name for item in fields(Dataset)}


@pytest.mark.parametrize("item", FIELDS, ids=lambda item: item.name)
@pytest.mark.parametrize("value", [None, "", 3, 3.5, True, [], {}, "x", {"a": 1}, -1, 10**400])
def test_a_reader_gives_a_value_or_the_end_of_a_sentence(item, value):
    try:
        item.read(value)
    except ValueError as error:
        assert str(error).startswith(("is ", "cannot be "))
