"""Numbers that are kept: measured once, and again where the file is damaged."""

import numpy as np
import pytest

from acestep.judging.kept import Kept, array_digest, digest


def test_the_same_question_is_measured_once(tmp_path):
    asked = []

    def measure():
        asked.append(1)
        return {"row": np.arange(3.0), "copy: MP3 at 64 kbit/s": np.ones((2, 2))}

    for kept in (Kept(tmp_path), Kept(tmp_path)):
        found = kept.get(["clip", "a", 1.5, None], measure)
        assert found.keys() == {"row", "copy: MP3 at 64 kbit/s"}
        np.testing.assert_array_equal(found["row"], [0, 1, 2])
    assert asked == [1]
    Kept(tmp_path).get(["clip", "b", 1.5, None], measure)
    assert asked == [1, 1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY\x01\x00", b"null"])
def test_a_damaged_file_is_measured_again(tmp_path, content):
    (tmp_path / f"{digest('x')}.npz").write_bytes(content)
    assert Kept(tmp_path).get("x", lambda: {"a": np.array(7)})["a"] == 7
    assert Kept(tmp_path).get("x", lambda: pytest.fail("it is there"))["a"] == 7


def test_objects_are_not_unpickled(tmp_path):
    with (tmp_path / f"{digest('x')}.npz").open("wb") as file:
        np.savez(file, a=np.array([{}], dtype=object))
    assert Kept(tmp_path).get("x", lambda: {"a": np.array(7)})["a"] == 7


def test_digests_differ_where_values_do():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert array_digest(np.zeros(3)) == array_digest(np.zeros(3))
    assert array_digest(np.zeros(3)) != array_digest(np.ones(3))
