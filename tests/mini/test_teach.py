"""The lesson: commands that parse, in an order in which each finds what it reads."""

import pytest

from acestep.errors import AceStepError
from acestep.events import Saved, Text
from acestep.flags import parse
from acestep.mini import teach as module
from acestep.mini.corpus import HELD_OUT
from acestep.mini.teach import TAG, Lesson, Places, commands, perform, teach, typed


def test_every_command_is_one_that_the_command_line_takes(tmp_path):
    places = Places.below(tmp_path, "jig")
    configs = [parse(verb, rest).config for verb, *rest in commands(places, Lesson(epochs=7))]
    scan, label, preprocess, train, export = configs
    assert (scan.songs, scan.output, scan.tag) == (places.songs, places.dataset, TAG)
    assert label.dataset == preprocess.dataset == places.dataset
    assert preprocess.output == train.tensors == places.tensors and preprocess.model == "mini"
    assert (train.epochs, train.rank, train.targets) == (7, 16, "attention+mlp")
    assert train.output == export.run == places.run and export.output == places.adapter


def test_each_lesson_gets_a_run_folder_of_its_own(tmp_path):
    assert Places.below(tmp_path, "jig").run == tmp_path / "runs" / "jig"
    for name in ("jig", "jig_2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert Places.below(tmp_path, "jig").run == tmp_path / "runs" / "jig_3"


def test_a_command_is_shown_as_a_shell_reads_it():
    assert typed(["label", "my songs.json"]) == "acestep label 'my songs.json'"


def test_what_is_taught_is_new_to_the_base():
    assert Lesson().style in HELD_OUT


def test_songs_come_first_then_the_verbs_in_turn(tmp_path, monkeypatch):
    done = []
    for verb in module.VERBS:
        monkeypatch.setitem(module.VERBS, verb, lambda config: iter(done.append(config) or []))
    places, lesson = Places.below(tmp_path, "march"), Lesson("march", songs=2, seconds=1.0)
    events = list(teach(places, lesson))
    assert [type(config).__name__ for config in done] == [
        "ScanConfig", "LabelConfig", "PreprocessConfig", "TrainConfig", "ExportConfig",
    ]  # fmt: skip
    assert [event.path for event in events if isinstance(event, Saved)] == [
        str(places.songs / "march_1.wav"), str(places.songs / "march_2.flac"),
    ]  # fmt: skip
    shown = [event.text for event in events if isinstance(event, Text)]
    assert shown[1:] == [f"\n$ {typed(command)}" for command in commands(places, lesson)]


def test_a_verbs_error_ends_the_lesson(tmp_path):
    with pytest.raises(AceStepError):
        list(perform(["label", str(tmp_path / "none.json")]))
