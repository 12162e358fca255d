"""The studio as a program uses it: the whole way by named endpoints, from songs to a difference."""

import time
from pathlib import Path

import numpy as np
import pytest
from studio_server import running_studio

from acestep.data.audio import read_audio
from acestep.data.song import load_dataset
from acestep.mini.folder import write_songs

ENDPOINTS = {
    "/scan", "/load_dataset", "/dataset_settings", "/label", "/check_dataset", "/save_changes",
    "/save_dataset", "/preprocess_outlook", "/preprocess", "/load_tensors", "/recommend", "/train",
    "/train_outlook",
    "/resume_training", "/listen", "/evaluate", "/export", "/generate", "/generate_ab",
    "/add_to_dataset", "/load_lora", "/unload_lora", "/lora_strength", "/use_lora", "/jobs",
    "/watch_job", "/job_cancel", "/job_kill", "/job_up", "/job_down", "/job_again", "/job_remove",
}  # fmt: skip


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    """A studio on a folder with five short songs, and a client of it."""
    root = tmp_path_factory.mktemp("client")
    list(write_songs(root / "songs", "cumbia", 5, 3.0))
    with running_studio(root) as studio:
        yield Way(studio.client(), root)


class Way:
    """A client that waits for what it orders."""

    def __init__(self, client, root: Path) -> None:
        self.client, self.root = client, root

    def call(self, name: str, **values):
        return self.client.predict(**values, api_name=f"/{name}")

    def order(self, name: str, **values) -> str:
        problem, id = self.call(name, **values)
        assert problem == "" and id, problem
        return id

    def watch(self, id: str) -> dict:
        deadline = time.monotonic() + 1200
        while time.monotonic() < deadline:
            seen = self.call("watch_job", id=id, after=0)
            if seen["state"] not in ("waiting", "running"):
                return seen
            time.sleep(0.2)
        raise AssertionError(f"{id} does not end")

    def done(self, name: str, **values) -> dict:
        seen = self.watch(self.order(name, **values))
        assert seen["state"] == "done", seen["events"][-1]
        return seen


def test_every_action_has_a_name_and_says_what_it_does(way):
    named = way.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert named.keys() >= ENDPOINTS
    train = {each["parameter_name"] for each in named["/train"]["parameters"]}
    assert {"tensors", "output", "rank", "alpha", "learning_rate", "epochs", "seed"} <= train
    assert [name for name in sorted(ENDPOINTS) if not named[name].get("description")] == []


def test_from_songs_to_a_heard_difference(way):
    way.done("scan", songs="songs", output="dataset.json", tag="zztune", all_instrumental=True)
    way.done("label", dataset="dataset.json")
    table, slider, told = way.call("load_dataset", file="dataset.json")[:3]
    assert len(table["data"]) == 5 and "5" in told
    way.call(
        "save_changes", file="dataset.json", song="2", caption="soft cumbia", lyrics="", bpm="99",
        keyscale="Am", timesignature="4", language="unknown", instrumental=True,
    )  # fmt: skip
    song = load_dataset(way.root / "dataset.json").songs[1]
    assert (song.caption, song.bpm, song.source("bpm")) == ("soft cumbia", 99, "person")
    outlook = {"dataset": "dataset.json", "output": "tensors"}
    assert way.call("preprocess_outlook", **outlook).count("audio and text") == 5
    way.done("preprocess", **outlook)
    assert "audio and text" not in way.call("preprocess_outlook", **outlook)
    assert "zztune" in way.call("load_tensors", folder="tensors")
    advice, rank = way.call("recommend", folder="tensors")[:2]
    assert "rank" in advice and isinstance(rank, int | float)
    assert "predicted for RTX 3060" in way.call("recommend", folder="tensors", gpu="3060 12GB")[0]
    expected = way.call("train_outlook", tensors="tensors", gpu="8GB", epochs=40)
    assert "predicted for a card with 8 GB" in expected and "in 40 epochs" in expected

    knobs = {"rank": 8, "learning_rate": 2e-3, "targets": "attention+mlp", "dropout": 0}
    id = way.order(
        "train", tensors="tensors", output="runs/jazz", epochs=40, save_every=20, **knobs
    )
    seen = way.call("watch_job", id=id)
    while not any('"step"' in event for event in seen["events"]):
        assert seen["state"] in ("waiting", "running"), seen
        time.sleep(0.2)
        seen = way.call("watch_job", id=id)
    assert way.call("job_cancel", id=id) == ""
    assert way.watch(id)["state"] in ("stopped", "done")
    way.done("resume_training", tensors="tensors", output="runs/jazz")
    assert (way.root / "runs/jazz/checkpoints/epoch_40").is_dir()
    way.done("export", run="runs/jazz", output="my_lora")

    assert way.call("load_lora", text="my_lora")[0] == ""
    problem, ids = way.call("generate_ab", caption="zztune, cumbia", duration="3", seed=7)
    assert problem == "" and len(ids) == 2
    files = [Path(way.watch(id)["events"][-1].split('"path": "')[1].split('"')[0]) for id in ids]
    off, on = (read_audio(file) for file in files)
    assert off.shape == on.shape and np.abs(off - on).max() > 0.05
    assert "off" in files[0].stem and "on" in files[1].stem

    way.call("lora_strength", text=str(way.root / "my_lora"), value=0, on=True)
    _, (id,) = way.call("generate", caption="zztune, cumbia", duration="3", seed=7)
    way.watch(id)
    still = sorted((way.root / "generated").glob("*/7.flac"))[-1]
    assert np.array_equal(read_audio(still), off)


def test_what_is_wrong_is_said_with_advice_and_nothing_is_started(way):
    before = len(way.call("jobs"))
    for name, values, said in (
        ("scan", {"songs": "/etc", "output": "d.json"}, "lies outside"),
        ("scan", {"songs": "songs/../..", "output": "d.json"}, "lies outside"),
        ("train", {"tensors": "tensors", "output": "r", "rank": 0}, "--rank 0"),
        ("export", {"run": "", "output": "x"}, "RUN"),
    ):
        problem, id = way.call(name, **values)
        assert said in problem and id == "", problem
    assert "Traceback" not in problem
    assert len(way.call("jobs")) == before
    assert 'role="alert"' in way.call("load_dataset", file="no.json")[2]
    assert "there is no job" in way.call("job_cancel", id="../../x")
