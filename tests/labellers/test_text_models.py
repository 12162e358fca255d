import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from acestep.errors import ModelError
from acestep.labellers import music_lm, omni, whisper
from acestep.labellers.text_models import (
    CaptionerKind,
    LyricistKind,
    open_captioner,
    open_lyricist,
)
from acestep.model.find import find_model

PUBLISHED = Path(__file__).parents[1] / "golden" / "upstream_tiny" / "acestep-v15-turbo"


@pytest.fixture(autouse=True)
def nothing_around(tmp_path, monkeypatch):
    monkeypatch.delenv("ACESTEP_MODELS", raising=False)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("opens", "kind"),
    [*((open_captioner, kind) for kind in get_args(CaptionerKind)),
     *((open_lyricist, kind) for kind in get_args(LyricistKind))],
)  # fmt: skip
def test_each_kind_says_what_it_lacks(opens, kind, tmp_path):
    with pytest.raises(ModelError) as caught:
        opens(kind, tmp_path / "nothing", model=find_model(str(PUBLISHED)), device="cpu")
    assert "ownload" in caught.value.hint or "pip install" in caught.value.hint


def test_each_kind_is_given_what_it_needs(monkeypatch):
    given = {}

    def loader(name):
        return lambda wanted, **settings: given.update({name: (wanted, settings)}) or name

    for module, name in (
        (music_lm, "load_music_lm"),
        (omni, "load_captioner"),
        (omni, "load_transcriber"),
        (whisper, "load_whisper"),
    ):
        monkeypatch.setattr(module, name, loader(name))
    mini = find_model("mini")
    settings = {"model": mini, "device": "cpu", "seed": 5}
    assert open_captioner("music-lm", "folder", **settings) == "load_music_lm"
    assert open_captioner("omni", **settings) == "load_captioner"
    assert open_lyricist("transcriber", **settings) == "load_transcriber"
    assert open_lyricist("whisper", **settings) == "load_whisper"
    assert given["load_music_lm"] == ("folder", settings)
    assert given["load_captioner"] == given["load_whisper"] == (None, {"device": "cpu"})
    assert open_lyricist("music-lm", **settings) == "load_music_lm"
    assert given["load_music_lm"] == (None, settings)


def test_choosing_a_model_loads_nothing_heavy():
    code = "import sys, acestep.labellers.text_models; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert done.stdout == "False\n", done.stderr
