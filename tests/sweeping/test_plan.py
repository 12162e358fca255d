"""A sweep's file: what it means, and every mistake at once with its line."""

from pathlib import Path

import pytest

from acestep.config import SweepConfig
from acestep.errors import ConfigError
from acestep.sweeping.plan import Range, read_plan

GOOD = """
tensors = "songs/tensors"
trials = 7
sampler = "random"

[train]
dropout = 0.0
epochs = 80

[search]
rank = [8, 16]
learning_rate = { low = 1e-5, high = 1e-3, log = true }
"weight_decay" = { low = 0.0, high = 0.1, step = 0.05 }
gradient_accumulation = { low = 1, high = 4 }
"""


def plan_of(folder, text, **flags):
    file = folder / "jazz.toml"
    file.write_text(text, encoding="utf-8")
    return read_plan(SweepConfig(sweep=file, **flags))


def problems(folder, text, **flags):
    with pytest.raises(ConfigError) as caught:
        plan_of(folder, text, **flags)
    return [line.replace(str(folder) + "/", "") for line in caught.value.problems]


def test_paths_are_relative_to_the_file_and_knobs_to_their_tables(tmp_path):
    plan = plan_of(tmp_path, GOOD)
    assert plan.tensors == tmp_path / "songs" / "tensors" and plan.output == tmp_path / "jazz"
    assert plan.trials == 7 and plan.fixed == {"dropout": 0.0, "epochs": 80}
    assert plan.longest == 80
    assert plan.search == {
        "rank": (8, 16),
        "learning_rate": Range(1e-5, 1e-3, log=True),
        "weight_decay": Range(0.0, 0.1, step=0.05),
        "gradient_accumulation": Range(1, 4, whole=True),
    }


def test_flags_count_before_the_file(tmp_path):
    plan = plan_of(tmp_path, GOOD, trials=3, output=Path("out"), tensors=Path("t"), sampler="tpe")
    assert (plan.trials, plan.output, plan.tensors) == (3, Path("out"), Path("t"))
    assert plan.config.sampler == "tpe"
    assert plan_of(tmp_path, "[search]\nrank = [8, 16]", tensors=Path("t")).trials == 20


def test_a_grid_has_as_many_trials_as_combinations(tmp_path):
    text = 'tensors = "t"\nsampler = "grid"\n[search]\nrank = [8, 16]\n'
    ranged = text + "learning_rate = { low = 1e-4, high = 3e-4, step = 1e-4 }\n"
    plan = plan_of(tmp_path, ranged)
    assert plan.trials == 6
    assert {"rank": 16, "learning_rate": pytest.approx(3e-4)} in plan.combinations
    assert plan_of(tmp_path, ranged, trials=4).trials == 4
    assert plan_of(tmp_path, GOOD).combinations is None
    endless = text + "learning_rate = { low = 1e-4, high = 3e-4 }\n"
    (problem,) = problems(tmp_path, endless)
    assert "line 5" in problem and "a grid needs" in problem


def test_every_mistake_is_said_at_once_with_its_line(tmp_path):
    text = "\n".join(
        [
            'tensor = "x"',
            "trials = 0",
            "[train]",
            "rnk = 3",
            "epochs = 20.5",
            'output = "a"',
            "[search]",
            'rank = [16, "x"]',
            "learning_rate = { low = 1, high = 1e-5, stp = 3 }",
            "targets = { low = 1, high = 2 }",
            "epochs = 5",
            'device = ["cpu"]',
            "dropout = [0.1, 0.1]",
            "warmup_steps = { low = 1.5, high = true }",
            "max_grad_norm = { low = -1, high = 2, log = 3 }",
        ]
    )
    expected = [
        "line 1: tensor: unknown; did you mean tensors?",
        "line 2: trials 0: must be a whole number, at least 1",
        "line 4: [train] rnk: unknown; did you mean rank?",
        "line 5: [train] epochs 20.5: must be",
        "line 6: [train] output is set by the sweep",
        "line 8: [search] rank x: must be a whole number",
        "line 9: [search] learning_rate: stp: unknown; did you mean step?",
        "line 9: [search] learning_rate: low 1 is not below",
        "line 10: [search] targets has no range",
        "line 11: [search] epochs 5: must be a list",
        "line 12: [search] device is nothing to try",
        "line 13: [search] dropout: a value is there twice",
        "line 14: [search] warmup_steps: low 1.5",
        "line 14: [search] warmup_steps: high True",
        "line 15: [search] max_grad_norm: log 3",
    ]
    found = problems(tmp_path, text)
    for words in expected:
        assert any(words in line for line in found), (words, found)
    assert any("tensors is missing" in line for line in found)
    assert len(found) == len(expected) + 1
    numbers = [int(line.split("line ")[1].split(":")[0]) for line in found if "line " in line]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "[search] is missing"),
        ("tensors = [1", "is not TOML"),
        ('tensors = "t"\nsearch = 3', "search is no table"),
        ('tensors = "t"\n[train]\nrank = 4\n[search]\nrank = [4, 8]', "in [train] too"),
        ('tensors = "t"\n[search]\nshift = [1.0, 3.0]', "changes what held-out loss measures"),
        ('tensors = "t"\n[train]\nvalidation = 0\n[search]\nrank = [4]', "judged by held-out"),
        ('tensors = "t"\n[search]\nlearning_rate = {low=0, high=1, log=true}', "above 0"),
        ('tensors = "t"\n[search]\nrank = {low=1, high=8, log=true, step=2}', "one of the two"),
        ('tensors = "t"\n[search]\nrank = {high=8}', "low is missing"),
        ('tensors = "t"\n[search]\nalpha = []', "list of values"),
    ],
)
def test_single_mistakes(tmp_path, text, words):
    assert any(words in line for line in problems(tmp_path, text))


def test_judged_by_ear_more_may_be_tried(tmp_path):
    text = 'tensors = "t"\njudge = "evaluate"\n[search]\nshift = [1.0, 3.0]\nseed = [1, 2]'
    assert set(plan_of(tmp_path, text).search) == {"shift", "seed"}


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, content in (("none.toml", None), ("b.toml", b"\xff\xfe"), ("folder", None)):
        path = tmp_path / name
        if name == "folder":
            path.mkdir()
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=name):
            read_plan(SweepConfig(sweep=path))
