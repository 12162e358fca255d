"""What the Generate page orders, and what becomes of the pieces."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from acestep.config import GenerateConfig
from acestep.data.audio import read_audio, write_audio
from acestep.errors import ConfigError
from acestep.generate import output_file
from acestep.web.job_files import Job
from acestep.web.results import MOST, add_to_dataset, converted, made_by, orders
from acestep.web.service import LoadedAdapter, Service
from acestep.web.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open([tmp_path])


@pytest.fixture
def piece(tmp_path) -> Path:
    tone = 0.1 * np.sin(np.arange(48000) / 20).astype(np.float32)
    file = tmp_path / "generated" / "x" / "7.flac"
    write_audio(file, np.stack([tone, tone]), 48000)
    return file


def test_seeds_in_a_row_each_with_adapters_off_and_on(workspace):
    service = Service(adapters=(LoadedAdapter("a", 0.5),))
    jobs = orders(workspace, service, {"caption": "x", "seed": "7"}, 2, both=True)
    assert [(job["seed"], job["count"], job["lora"]) for job in jobs] == [(7, 2, []), (7, 2, ["a"])]
    assert [job["output"].name for job in jobs] == ["7_off.flac", "7_on.flac"]
    assert len({job["output"].parent for job in jobs}) == 1
    (job,) = orders(workspace, service, {}, 99, both=False)
    assert (job["count"], job["output"].name) == (MOST, "42.flac")
    config = GenerateConfig(seed=7, count=2, output=jobs[1]["output"])
    assert output_file(config, 8).name == "8_on.flac"
    assert orders(workspace, service, {"seed": ""}, 1, both=False)[0]["seed"] == 42
    with pytest.raises(ConfigError, match="--seed abc"):
        orders(workspace, service, {"seed": "abc"}, 1, both=False)


def test_the_pieces_of_an_order_are_found_by_one_of_its_jobs(piece, tmp_path):
    (piece.parent / "10.flac").touch()
    (piece.parent / "7.mp3").touch()
    (piece.parent / ".tmp-abcdefgh.flac").touch()  # one that is being written
    for which in ("on", "off"):
        (piece.parent / f"9_{which}.flac").touch()
    job = Job(tmp_path, ("generate", "--output", str(piece)), "", time.time(), 1.0)
    assert [path.name for path in made_by(job)] == ["7.flac", "9_off.flac", "9_on.flac", "10.flac"]
    assert made_by(None) == []


@pytest.mark.parametrize("form", ["wav", "mp3", "ogg", "opus", "flac"])
def test_every_format_plays_the_piece(workspace, piece, form):
    made = converted(workspace, str(piece), form)
    assert made.suffix == f".{form}"
    assert abs(read_audio(made).shape[1] - 48000) < 3000


def test_only_pieces_below_the_roots_and_known_formats(workspace, piece):
    with pytest.raises(ConfigError, match="exe"):
        converted(workspace, str(piece), "exe")
    with pytest.raises(ConfigError, match="outside"):
        converted(workspace, "/etc/passwd", "wav")


def test_a_piece_goes_into_a_folder_of_songs_with_its_labels(workspace, piece, tmp_path):
    values = {"caption": "soft", "bpm": "90", "keyscale": "", "steps": 8, "language": "en"}
    added = add_to_dataset(workspace, str(piece), "songs", values)
    assert added == tmp_path / "songs" / "7.flac"
    labels = json.loads(added.with_suffix(".json").read_text())
    assert labels == {"caption": "soft", "bpm": 90, "language": "en"}
