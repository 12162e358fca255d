import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from acestep.errors import RunError
from acestep.events import Event, Notice
from acestep.mini.train.__main__ import STAGES, main
from acestep.mini.train.config import StageConfig


@pytest.fixture
def stage(monkeypatch):
    """A stage that tells its config."""
    seen: list[StageConfig] = []

    def train(config: StageConfig, begun: float) -> Iterator[Event]:
        seen.append(config)
        yield Notice("here")
        if config.seed == 13:
            raise RunError("no luck", hint="take another")

    module = SimpleNamespace(train=train, StageConfig=StageConfig)
    monkeypatch.setitem(sys.modules, "a_stage", module)
    monkeypatch.setitem(STAGES, "vae", ("a_stage", "StageConfig"))
    return seen


def test_flags_reach_the_stage(stage, capsys):
    arguments = "--stage vae --minutes 2.5 --finish --resume folder --threads 2 --json"
    assert main(arguments.split()) == 0
    (config,) = stage
    assert (config.minutes, config.finish, config.threads) == (2.5, True, 2)
    assert str(config.resume) == "folder"
    assert '"here"' in capsys.readouterr().out


def test_errors_are_said_and_counted(stage, capsys):
    assert main(["--stage", "vae", "--seed", "13"]) == 1
    assert "no luck" in capsys.readouterr().out
    assert main(["--stage", "vae", "--minutes", "-1"]) == 1
    assert "--minutes" in capsys.readouterr().out
