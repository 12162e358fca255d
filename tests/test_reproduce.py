"""An adapter made again from its songs: the same bits, or said why not."""

import json
import shutil
from pathlib import Path

import pytest

from acestep.adapters.files import read_adapter
from acestep.adapters.manifest import MANIFEST
from acestep.config import (
    ExportConfig,
    LabelConfig,
    PreprocessConfig,
    ReproduceConfig,
    ScanConfig,
    TrainConfig,
)
from acestep.data.song import load_dataset, save_dataset
from acestep.errors import AdapterError, TensorError
from acestep.events import Failed, Finished, Notice, Text
from acestep.export import export
from acestep.label import label
from acestep.mini.folder import write_songs
from acestep.preprocess import preprocess
from acestep.reproduce import compare, reproduce
from acestep.scan import scan
from acestep.train import train


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with songs, their dataset and an adapter of a checkpoint in the middle of a run."""
    root = tmp_path_factory.mktemp("made")
    list(write_songs(root / "songs", "cumbia", 3, 3.0))
    dataset, tensors, run = root / "dataset.json", root / "tensors", root / "run"
    list(scan(ScanConfig(songs=root / "songs", output=dataset, tag="zz", all_instrumental=True)))
    list(label(LabelConfig(dataset=dataset)))
    list(preprocess(PreprocessConfig(dataset=dataset, output=tensors, model="mini", seed=7)))
    knobs = {"rank": 2, "epochs": 2, "save_every": 1, "dropout": 0.1, "validation": 0.3}
    list(train(TrainConfig(tensors=tensors, output=run, **knobs)))
    list(export(ExportConfig(run=run, checkpoint="epoch_1", output=root / "lora")))
    shutil.rmtree(tensors)
    shutil.rmtree(run)
    return root


def again(root: Path, output: Path, **knobs) -> list:
    knobs = {"dataset": root / "dataset.json", **knobs}
    return list(reproduce(ReproduceConfig(adapter=root / "lora", output=output, **knobs)))


def test_the_manifest_tells_what_it_was_made_of_and_nothing_private(made):
    text = (made / "lora" / MANIFEST).read_text()
    manifest = json.loads(text)
    assert len(manifest["songs"]) == 3
    assert manifest["train"]["rank"] == 2 and manifest["preprocess"]["seed"] == 7
    assert manifest["adapter"]["checkpoint"] == "epoch_1" and manifest["packages"]["torch"]
    songs = load_dataset(made / "dataset.json").songs
    for private in (str(made), "cumbia_1", ".ogg", *(song.caption for song in songs)):
        assert private not in text


def test_it_comes_out_bit_for_bit_and_goes_on_where_it_was(made, tmp_path):
    events = again(made, tmp_path / "again")
    assert events[-1].facts == {"identical": True, "difference": 0.0, "relative": 0.0}
    assert Path(events[-1].path) == tmp_path / "again" / "run" / "checkpoints" / "epoch_1"
    assert any(isinstance(event, Text) and "bit-identical" in event.text for event in events)
    assert not (tmp_path / "again" / "run" / "checkpoints" / "epoch_2").exists()
    once_more = again(made, tmp_path / "again")
    assert once_more[-1] == events[-1]


def test_other_numbers_are_said(made, tmp_path):
    lora = tmp_path / "made" / "lora"
    shutil.copytree(made / "lora", lora)
    for name in ("songs", "dataset.json"):
        (tmp_path / "made" / name).symlink_to(made / name)
    manifest = json.loads((lora / MANIFEST).read_text())
    manifest["train"]["seed"] += 1
    manifest["packages"]["torch"] = "2.11.0"
    (lora / MANIFEST).write_text(json.dumps(manifest))
    events = again(tmp_path / "made", tmp_path / "again")
    assert isinstance(events[-1], Failed) and "not bit-identical" in events[-1].message
    assert not any(isinstance(event, Finished) and event.verb == "reproduce" for event in events)
    assert any(isinstance(event, Notice) and "torch 2.11.0" in event.message for event in events)


def test_other_labels_and_other_songs_are_named(made, tmp_path):
    dataset = load_dataset(made / "dataset.json")
    changed, missing = dataset.songs[1:]
    changed.caption = "polka"
    dataset.songs.remove(missing)
    file = made / "other.json"
    save_dataset(dataset, file)
    with pytest.raises(TensorError) as caught:
        again(made, tmp_path / "again", dataset=file)
    message = str(caught.value)
    assert f"{changed.filename} has other labels" in message
    assert f"a song is missing (its id is {missing.id})" in message
    assert not (tmp_path / "again" / "run").exists()


def test_an_adapter_without_or_with_anothers_manifest_is_refused(made, tmp_path):
    lora = tmp_path / "made" / "lora"
    shutil.copytree(made / "lora", lora)
    manifest = json.loads((lora / MANIFEST).read_text())
    manifest["adapter"]["weights"] = "0" * 64
    (lora / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(AdapterError, match="another adapter"):
        again(tmp_path / "made", tmp_path / "again")
    (lora / MANIFEST).unlink()
    with pytest.raises(AdapterError, match="has no manifest"):
        again(tmp_path / "made", tmp_path / "again")


def test_the_distance_of_two_adapters(made):
    adapter = read_adapter(made / "lora")
    name, tensor = next(iter(adapter.weights.items()))
    weights = {**adapter.weights, name: tensor + 0.5}
    found = compare(adapter, type(adapter)(weights, adapter.alphas))
    size = sum(float((part.double() ** 2).sum()) for part in adapter.weights.values()) ** 0.5
    assert found["difference"] == pytest.approx(0.5)
    assert found["relative"] == pytest.approx(0.5 * tensor.numel() ** 0.5 / size)
    assert not found["identical"]
