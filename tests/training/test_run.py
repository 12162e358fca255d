"""The run folder's log survives crashes and is wound back exactly."""

import json

import pytest

from acestep.errors import RunError
from acestep.events import Evaluation, Finished, Notice, Sample, Started, Step, Stopped
from acestep.training.run import RunFolder


def step(number):
    return Step(number, 1, 0.1 * number, 1e-4, 1.0)


@pytest.fixture
def run(tmp_path):
    tmp_path.joinpath("run").mkdir()
    return RunFolder(tmp_path / "run")


def test_rewind_forgets_later_numbers_and_keeps_the_rest(run):
    log = [
        Started("train", {}),
        Evaluation(0, 0, 1.0, 1.0),
        step(1),
        Notice("n"),
        step(2),
        Evaluation(2, 2, 0.9, 1.0),
        step(3),
        Stopped("train", "p", "r"),
        Finished("train"),
    ]
    run.append(log)
    run.rewind(2)
    assert run.read_events() == log[:6]


def sample(run, epoch):
    folder = run.sample_folder(epoch)
    folder.mkdir(parents=True)
    for name in ("1_x.flac", "1_x.png"):
        (folder / name).touch()
    paths = (f"elsewhere/samples/{folder.name}/1_x{suffix}" for suffix in (".flac", ".png"))
    return Sample(*paths, "x", 42, 10 * epoch, epoch, 30.0, "own")


def test_rewind_takes_later_previews_away_and_leaves_those_of_the_base(run):
    base, early, late = (sample(run, epoch) for epoch in (0, 1, 2))
    run.append([base, early, late])
    run.rewind(10)
    assert run.read_events() == [base, early]
    assert len(list(run.samples.rglob("*.*"))) == 4
    assert not list(run.sample_folder(2).iterdir())
    run.rewind(-1)
    assert run.read_events() == [base]
    assert {path.parent.name for path in run.samples.rglob("*.*")} == {"base"}


def test_rewind_removes_nothing_outside_the_previews(run):
    run.settings_file.touch()
    run.append([Sample("a/../../config.json", "..", "x", 42, 3, 1, 1.0)])
    run.rewind(-1)
    assert run.settings_file.exists() and run.read_events() == []


def test_a_line_cut_by_a_crash_is_dropped(run):
    run.append([step(1), step(2)])
    with run.events_file.open("a") as log:
        log.write('{"event": "step", "step": 3, "lo')
    assert run.read_events() == [step(1), step(2)]
    run.rewind(2)
    run.append([step(3)])
    assert run.read_events() == [step(1), step(2), step(3)]


def test_damage_in_the_middle_is_not_passed_over(run):
    run.append([step(1)])
    with run.events_file.open("a") as log:
        log.write("garbage\n")
    run.append([step(2)])
    with pytest.raises(RunError, match="line 2"):
        run.read_events()


def test_settings_round_trip_and_refuse_another_format(run):
    run.write_settings({"config": {"rank": 4}})
    assert run.exists() and run.read_settings()["config"] == {"rank": 4}
    run.settings_file.write_text(json.dumps({"format": 99}))
    with pytest.raises(RunError, match="format"):
        run.read_settings()
    run.settings_file.write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        run.read_settings()


def test_a_run_folder_is_held_by_one_and_tidied(tmp_path):
    folder = RunFolder(tmp_path / "new")
    with folder.hold():
        (folder.path / ".tmp-abcdefgh.png").touch()
        with pytest.raises(RunError, match="another process") as caught, folder.hold():
            pass
        assert "STOP" in caught.value.hint
    with folder.hold():
        assert not list(folder.path.iterdir())
