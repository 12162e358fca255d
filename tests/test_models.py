"""The list of base models: a table for people, the same as facts for programs."""

import os
import shutil

from acestep.config import ModelsConfig
from acestep.data.files import size_text
from acestep.events import Finished, Text
from acestep.model.find import KNOWN, packaged_folder
from acestep.models import models


def test_known_and_present_models_are_listed(tmp_path, monkeypatch):
    root = tmp_path / "my models"
    shutil.copytree(packaged_folder(), root / "tuned")
    broken = root / "broken"
    shutil.copytree(packaged_folder(), broken)
    (broken / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    monkeypatch.setenv("ACESTEP_MODELS", os.pathsep.join([str(root), str(tmp_path / "none")]))
    text, finished = models(ModelsConfig())
    assert isinstance(text, Text) and isinstance(finished, Finished)
    rows = {record["name"]: record for record in finished.facts["models"]}
    assert {"mini", "tuned", "broken", *KNOWN} <= rows.keys()
    assert rows["tuned"]["present"] and rows["tuned"]["path"] == str(root / "tuned")
    weights = sum(file.stat().st_size for file in packaged_folder().rglob("*.safetensors"))
    assert weights <= rows["tuned"]["size"] == rows["mini"]["size"] < 1.05 * weights
    assert rows["tuned"]["variant"] == "turbo"
    assert not rows["broken"]["present"] and "vae" in rows["broken"]["problem"]
    lines = text.text.splitlines()
    assert lines[0].split() == ["name", "variant", "size", "where"]
    (line,) = [line for line in lines if line.startswith("tuned ")]
    assert size_text(rows["tuned"]["size"]) in line and line.endswith(str(root / "tuned"))
    (line,) = [line for line in lines if line.startswith("broken ")]
    assert rows["broken"]["problem"] in line
    assert str(root) in lines[-2]
    starts = {line.index(line.split("  ")[-1].strip()) for line in lines[: len(rows) + 1]}
    assert len(starts) == 1, "the last column is aligned"


def test_a_model_that_is_not_here_is_said_to_be_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("ACESTEP_MODELS", raising=False)
    text, _ = models(ModelsConfig())
    assert isinstance(text, Text)
    assert "$ACESTEP_MODELS (not set)" in text.text
