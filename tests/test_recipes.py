"""The recipes and the benchmarks run as they are written."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acestep.data.audio import read_audio, write_audio

ROOT = Path(__file__).parents[1]


def run(script, *arguments, folder):
    done = subprocess.run(
        [sys.executable, ROOT / script, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    for number, frequency in enumerate((220, 330)):
        time = np.arange(2 * 48_000) / 48_000
        tone = (0.4 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
        write_audio(folder / "songs" / f"{number}.flac", np.stack([tone, tone]), 48_000)
        (folder / "songs" / f"{number}.caption.txt").write_text("a plain tone")
    run(
        "recipes/teach_a_style.py",
        "songs",
        "--tag",
        "mytone",
        "--epochs",
        2,
        "--rank",
        2,
        "--seconds",
        2,
        folder=folder,
    )
    return folder / "work"


def test_the_whole_way_in_one_script(work):
    with_adapter, without = (read_audio(work / f"{name}.flac") for name in ("with", "without"))
    assert with_adapter.shape == without.shape == (2, 96_000)
    assert not np.array_equal(with_adapter, without)
    card = json.loads((work / "my_lora" / "card.json").read_text())["card"]
    assert card["base_model"] == "mini" and card["dataset"]["tag"] == "mytone"


def test_every_checkpoint_can_be_heard(work):
    run(
        "recipes/compare_checkpoints.py",
        work / "run",
        "--caption",
        "mytone",
        "--seconds",
        1,
        folder=work,
    )
    assert (work / "samples" / "epoch_2.flac").exists()


ONE = ("--rounds", 1, "--seconds", 1)


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("benchmarks/train_step.py", [*ONE, "--steps", 1]),
        ("benchmarks/preprocess.py", [*ONE, "--songs", 1, "--skip-encoder"]),
    ],
)
def test_benchmarks_report_both_sides(script, flags, tmp_path):
    report = json.loads(run(script, *flags, "--skip-memory", "--device", "cpu", folder=tmp_path))
    assert report["plain_over_ours"] > 0
    assert all(report[side]["audio_seconds_per_second"] > 0 for side in ("ours", "plain"))
