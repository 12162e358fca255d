import json
import random

import pytest
from evaluations import evaluation
from scipy.stats import binomtest

from acestep.data.files import write_json
from acestep.errors import RunError
from acestep.judging.ab import read_key, write_ab_page
from acestep.judging.votes import count_votes, sign_test


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    write_json(folder / "report.json", evaluation(folder, seconds=0.5))
    write_ab_page(folder, draw=random.Random(1))
    return folder


def drawn_in(folder):
    (test,) = read_key(folder).values()
    return test


def votes(folder, hits, misses, same=0):
    """An export in which the adapter won so often."""
    test = drawn_in(folder)
    choices = []
    for place, pair in enumerate(test.pairs[: hits + misses + same]):
        other = "b" if pair.adapter == "a" else "a"
        choice = pair.adapter if place < hits else other if place < hits + misses else "same"
        choices.append({"pair": pair.pair, "choice": choice, "seconds": 3.0})
    return {"format": 1, "test": test.digest, "votes": choices}


def saved(path, record):
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


@pytest.mark.parametrize("total", [0, 1, 2, 5, 6, 12, 31])
def test_p_is_that_of_the_exact_binomial_test(total):
    for hits in range(total + 1):
        wanted = binomtest(hits, total).pvalue if total else 1.0
        assert sign_test(hits, total) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("hits", "misses", "same", "words"),
    [
        (7, 0, 0, "nearer to the songs than the base"),
        (0, 6, 1, "farther from the songs than the base"),
        (4, 3, 0, "can be chance"),
        (2, 1, 0, "cannot show a difference"),
        (0, 0, 7, "says nothing"),
        (0, 0, 0, "says nothing"),
    ],
)
def test_votes_are_counted_by_the_key(folder, tmp_path, hits, misses, same, words):
    counted = count_votes(saved(tmp_path / "v.json", votes(folder, hits, misses, same)), folder)
    assert (counted["adapter"], counted["base"], counted["same"]) == (hits, misses, same)
    assert counted["pairs"] == hits + misses + same and words in counted["sentence"]
    assert (counted["checkpoint"], counted["strength"]) == ("epoch_20", 1.0)
    if hits + misses:
        assert counted["p"] == pytest.approx(binomtest(hits, hits + misses).pvalue)


def test_a_result_that_is_not_that_of_its_votes_is_refused(folder, tmp_path):
    record = votes(folder, 3, 2)
    record["result"] = {"adapter": 3, "base": 2, "same": 0, "p": 1.0}
    assert count_votes(saved(tmp_path / "v.json", record), folder)["adapter"] == 3
    record["votes"][0]["choice"] = "same"
    with pytest.raises(RunError, match="was changed: its result is not what its votes make"):
        count_votes(saved(tmp_path / "v.json", record), folder)


def test_other_votes_are_refused(folder, tmp_path):
    record = votes(folder, 3, 2)
    for change, words in [
        ({"test": "0123456789abcdef"}, "holds votes of another test"),
        ({"votes": [{"pair": "none", "choice": "a"}]}, "has no pair 'none'"),
        ({"votes": record["votes"][:1] * 2}, "a pair has two votes"),
        ({"votes": [{"pair": "x", "choice": "c"}]}, "votes.0.choice"),
        ({"votes": "none"}, "votes: Input should be a valid"),
        ({"format": 9}, "format 9, this version reads up to 1"),
        ({"test": 3}, "test: Input should be a valid string"),
    ]:
        with pytest.raises(RunError, match=words):
            count_votes(saved(tmp_path / "v.json", {**record, **change}), folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"null"])
def test_damaged_files_are_refused(folder, tmp_path, content):
    (tmp_path / "v.json").write_bytes(content)
    with pytest.raises(RunError, match="v.json holds no votes"):
        count_votes(tmp_path / "v.json", folder)
    with pytest.raises(RunError, match="cannot be read"):
        count_votes(tmp_path / "gone.json", folder)
