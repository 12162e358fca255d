"""From a page's values to a job: paths within the roots, the rest as the command line has it."""

import json
import time

import pytest

from acestep.errors import ConfigError
from acestep.web.orders import config_for, order, words_for
from acestep.web.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "root").mkdir()
    return Workspace.open([tmp_path / "root"])


def dataset(workspace: Workspace, *songs: str) -> str:
    record = {"dataset_name": "d", "samples": [{"audio_path": song} for song in songs]}
    (workspace.home / "d.json").write_text(json.dumps(record), encoding="utf-8")
    return "d.json"


def test_paths_become_whole_and_defaults_begin_at_the_root(workspace):
    home = workspace.home
    words = words_for(workspace, "scan", {"songs": " my songs ", "output": ""})
    assert words[:2] == ["scan", str(home / "my songs")]
    config = config_for(workspace, "scan", {"songs": "my songs", "output": ""})
    assert config.output == home / "dataset.json"


@pytest.mark.parametrize(
    ("verb", "values"),
    [("scan", {"songs": "../songs"}), ("scan", {"songs": "/etc"}),
     ("scan", {"songs": "songs", "output": "../d.json"}),
     ("generate", {"output": "a.wav", "lora": "here\n/etc"}),
     ("generate", {"output": "a.wav", "src_audio": "/etc/passwd"}),
     ("generate", {"output": "a.wav", "model": "/etc"}),
     ("generate", {"output": "a.wav", "model": "a/../../b"}),
     ("generate", {"output": "a.wav", "model": "~/x"}),
     ("train", {"tensors": "t", "output": "../runs"})],
)  # fmt: skip
def test_nothing_outside_of_the_roots_is_read_or_written(workspace, verb, values):
    with pytest.raises(ConfigError, match="outside") as caught:
        order(workspace, verb, values)
    assert "--root" in caught.value.hint
    assert workspace.jobs.all() == []


def test_a_model_may_be_a_name_an_id_or_a_folder_below_the_root(workspace):
    (workspace.home / "models" / "mine").mkdir(parents=True)
    for given, meant in (
        ("mini", "mini"),
        ("someone/some-model", "someone/some-model"),
        ("models/mine", str(workspace.home / "models" / "mine")),
    ):
        assert config_for(workspace, "generate", {"model": given, "output": "o.wav"}).model == meant


def test_songs_of_a_dataset_lie_within_the_roots_too(workspace, tmp_path):
    (tmp_path / "elsewhere.wav").write_bytes(b"x")
    (workspace.home / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    file = dataset(workspace, "a.wav", "../elsewhere.wav", "link.wav", "/etc/passwd")
    for verb in ("label", "preprocess", "check"):
        with pytest.raises(ConfigError, match="3 songs lie outside") as caught:
            order(workspace, verb, {"dataset": file})
        assert "a.wav," not in str(caught.value)
    file = dataset(workspace, "a.wav", str(workspace.home / "sub" / "b.wav"))
    assert words_for(workspace, "label", {"dataset": file})[1] == str(workspace.home / "d.json")


def test_a_file_that_is_no_dataset_is_the_verbs_to_refuse(workspace):
    (workspace.home / "d.json").write_text("{")
    assert words_for(workspace, "label", {"dataset": "d.json"})[0] == "label"


def test_everything_wrong_is_said_and_nothing_is_ordered(workspace):
    with pytest.raises(ConfigError) as caught:
        order(workspace, "train", {"tensors": "/etc", "output": "../r"})
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError) as caught:
        order(workspace, "train", {"tensors": "t", "rank": 0, "epochs": "many"})
    assert len(caught.value.problems) == 2
    assert workspace.jobs.all() == []


def test_an_order_is_a_job_of_its_page(workspace):
    job = order(workspace, "models", {}, "What is there", "service")
    assert (job.words, job.title, job.page) == (("models",), "What is there", "service")
    assert [one.id for one in workspace.jobs.all()] == [job.id]
    deadline = time.monotonic() + 600
    while job.state() == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.state() == "done", job.log()
