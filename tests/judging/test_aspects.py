import pytest

from acestep.judging.aspects import in_words, judge_aspect
from acestep.judging.controls import Floor
from acestep.judging.energy import Comparison
from acestep.judging.intervals import Estimate

FLOOR = Floor(0.1, -0.3, 0.5, 0.02, 12)


def compared(made, base, p=0.001, spread=0.2):
    gain = base - made
    return Comparison(
        Estimate(made, made - spread, made + spread),
        Estimate(base, base - spread, base + spread),
        Estimate(gain, gain - spread, gain + spread),
        Estimate(made / base, 0.0, 1.0),
        p if gain > 0 else 1 - p,
        1 - p if gain > 0 else p,
        True,
    )


@pytest.mark.parametrize(
    ("made", "base", "chance", "word"),
    [
        (0.3, 4.0, 0.001, "there"),
        (2.0, 4.0, 0.001, "nearer"),
        (3.9, 4.0, 0.3, "not yet"),
        (6.0, 4.0, 0.001, "farther"),
        (0.1, 0.15, 0.2, "no different in the base"),
        (2.0, 0.15, 0.001, "farther"),
    ],
)
def test_words(made, base, chance, word):
    found = compared(made, base, chance)
    assert judge_aspect("timbre", found, FLOOR).word == word
    assert judge_aspect("timbre", found, FLOOR, enough=False).word == "not known"


def test_aspects_are_told_together_and_production_apart():
    aspects = [
        judge_aspect("timbre", compared(0.1, 4.0), FLOOR),
        judge_aspect("harmony", compared(0.1, 4.0), FLOOR),
        judge_aspect("rhythm", compared(3.9, 4.0, 0.4), FLOOR),
        judge_aspect("space", compared(2.0, 4.0), FLOOR),
    ]
    assert in_words(aspects) == [
        "Timbre and harmony are there; rhythm is not there yet.",
        "Production: space is nearer.",
    ]
    assert in_words([]) == []
    assert aspects[3].production and not aspects[0].production
    assert aspects[2].as_dict()["word"] == "not yet"
