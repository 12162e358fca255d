from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from acestep.errors import RunError
from acestep.events import Finished, Notice, Step
from acestep.mini.train.config import StageConfig
from acestep.mini.train.loop import Means, rate_share, run


@dataclass
class Line:
    """A line through noisy points, with an optimizer of each kind that is used."""

    name: str = "line"
    modules: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        line = nn.Linear(3, 2)
        self.modules = {"line": line}
        self.optimizers = [
            torch.optim.Muon([line.weight], lr=3e-3),
            torch.optim.AdamW([line.bias], lr=1e-2),
        ]

    def loss(self, step: int, rng: torch.Generator) -> torch.Tensor:
        x = torch.randn(8, 3, generator=rng)
        return (self.modules["line"](x) - x[:, :2]).pow(2).mean()

    def evaluate(self) -> dict[str, float]:
        return {"weight": self.modules["line"].weight[0, 0].item()}

    def export(self, root: Path) -> None:
        torch.manual_seed(0)
        (root / "line.txt").write_text(str(self.evaluate()["weight"]), encoding="utf-8")


def trained(folder: Path, steps: int, **settings: object) -> tuple[Line, list[object]]:
    stage = Line()
    return stage, list(run(stage, StageConfig(resume=folder, steps=steps, **settings)))


def weights(stage: Line) -> dict[str, torch.Tensor]:
    return stage.modules["line"].state_dict()


def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(tmp_path):
    whole, _ = trained(tmp_path / "whole", 12)
    trained(tmp_path / "parts", 5)
    parts, events = trained(tmp_path / "parts", 12)
    assert [event.step for event in events if isinstance(event, Step)] == list(range(6, 13))
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(parts)[name])
    exported = [(tmp_path / name / "line.txt").read_text() for name in ("whole", "parts")]
    assert exported[0] == exported[1]  # the running means too


def test_it_learns_and_logs(tmp_path):
    _, events = trained(tmp_path, 300)
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert losses[-1] < losses[0] / 2
    assert isinstance(events[-1], Finished)
    assert any(isinstance(event, Notice) for event in events)
    assert "weight" in (tmp_path / "training" / "line.jsonl").read_text()


def test_the_rate_rises_and_in_a_finishing_run_falls():
    config = StageConfig(warmup=9, finish=True)
    assert rate_share(0, 0.0, config) == pytest.approx(0.1)
    assert rate_share(50, 0.5, config) == 1
    assert rate_share(50, 1.0, config) == pytest.approx(0.02)
    assert rate_share(50, 1.0, StageConfig(warmup=9)) == 1


def test_means_are_there_only_within():
    module = nn.Linear(1, 1)
    means = Means({"one": module}, 0.9)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += 1
    means.update(0)
    with means.applied():
        assert torch.allclose(module.weight, before + 0.9)
    assert torch.equal(module.weight, before + 1)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    stage = Line()
    with torch.no_grad():
        stage.modules["line"].weight.fill_(float("nan"))
    with pytest.raises(RunError, match="loss of step 0 is nan"):
        list(run(stage, StageConfig(resume=tmp_path, steps=2)))


def test_a_state_of_something_else_is_refused(tmp_path):
    trained(tmp_path, 1)
    stage = Line(modules={})
    stage.modules = {"line": nn.Linear(4, 2)}
    with pytest.raises(RunError, match="does not fit this stage"):
        list(run(stage, StageConfig(resume=tmp_path, steps=2)))
