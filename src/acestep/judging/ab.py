"""The blind listening test: a page of pairs, base against adapter, and the key to it.

Which side is which is drawn by chance and kept in ``ab_key.json`` beside the page: that file is
what counts. The page must know too, since it says the result at the end; there each pair's side is
one bit, masked by a hash, so that nobody who looks at the page or its source sees it by accident.
"""

import json
import random
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from acestep.data.files import reported, shown, write_json, write_text
from acestep.errors import RunError
from acestep.judging.ab_page import Pair, Test, ab_page
from acestep.judging.layout import BASE, Report
from acestep.judging.report import laid_out, read_report

PAGE, KEY = "ab.html", "ab_key.json"
FORMAT = 1
PAIRS = 12


def write_ab_page(
    folder: Path, pairs: int = PAIRS, draw: random.Random | None = None
) -> Path | None:
    """Write ``ab.html`` and ``ab_key.json``; None where the report has no pair of clips.

    As long as the clips are the same, so is the test: votes stay good when it is written again, and
    the keys of earlier tests are kept. Raises ``RunError`` for the report or the key,
    ``DatasetError`` for a folder that cannot be written.
    """
    report = laid_out(read_report(folder), folder)
    chosen = _pairs_of(report, pairs)
    if not chosen:
        return None
    test = _known(folder, chosen) or _drawn(chosen, draw or secrets.SystemRandom())
    text = ab_page(folder, report, test)
    tests = {**read_key(folder), test.digest: test}
    with reported(folder / PAGE):
        record = {digest: asdict(one) for digest, one in tests.items()}
        write_json(folder / KEY, {"format": FORMAT, "tests": record})
        write_text(folder / PAGE, text)
    return folder / PAGE


def read_key(folder: Path) -> dict[str, Test]:
    """The tests that were made in a folder, by digest. Raises ``RunError`` for a damaged key."""
    path = folder / KEY
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        tests = {
            digest: Test(
                test["checkpoint"], test["strength"], tuple(Pair(**pair) for pair in test["pairs"])
            )
            for digest, test in record["tests"].items()
        }
        changed = [digest for digest, test in tests.items() if test.digest != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{shown(path)} cannot be read: {error!r}",
            hint="remove it; a new test is drawn, and votes of the old one no longer count",
        ) from error
    if changed:
        raise RunError(
            f"{shown(path)} was changed: test {changed[0]} is no longer what was drawn",
            hint="remove it; a new test is drawn, and votes of the old one no longer count",
        )
    return tests


@dataclass(frozen=True)
class _Chosen:
    """What is compared, before sides are drawn: ``(base, adapter)`` files."""

    checkpoint: str
    strength: float
    pairs: tuple[tuple[str, str], ...]


def _pairs_of(report: Report, most: int) -> _Chosen | None:
    """The recommended checkpoint (else the last) against the base, prompt by prompt."""
    name = report.choice.checkpoint or next((j.name for j in reversed(report.checkpoints)), None)
    if name is None:
        return None
    told = [clip for clip in report.clips if clip.tag]
    base = {(clip.prompt, clip.seed): clip.file for clip in told if clip.adapter == BASE}
    for strength in dict.fromkeys((report.choice.strength, 1.0)):
        made = [c for c in told if (c.adapter, c.strength) == (name, strength)]
        pairs = [(base[where], c.file) for c in made if (where := (c.prompt, c.seed)) in base]
        if pairs:
            return _Chosen(name, strength, tuple(pairs[:most]))
    return None


def _known(folder: Path, chosen: _Chosen) -> Test | None:
    wanted = set(chosen.pairs)
    for test in read_key(folder).values():
        sides = {(p.a, p.b) if p.adapter == "b" else (p.b, p.a) for p in test.pairs}
        if (sides, test.checkpoint, test.strength) == (wanted, chosen.checkpoint, chosen.strength):
            return test
    return None


def _drawn(chosen: _Chosen, draw: random.Random) -> Test:
    order = list(chosen.pairs)
    draw.shuffle(order)
    pairs = []
    for base, adapter in order:
        side = draw.choice("ab")  # of each for itself: that makes the binomial p exact
        a, b = (adapter, base) if side == "a" else (base, adapter)
        pairs.append(Pair(f"{draw.getrandbits(32):08x}", a, b, side))
    return Test(chosen.checkpoint, chosen.strength, tuple(pairs))
