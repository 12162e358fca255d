import pytest

from acestep.errors import ModelError
from acestep.labellers.checkpoints import Published, find_text_model, without_bars

PUBLISHED = (
    Published("lm-large", "ACE-Step/Ace-Step1.5", 3.7, 8, inside="lm-large"),
    Published("lm-small", "ACE-Step/lm-small", 1.3, 3),
)
NEEDS = ("config.json", "tokenizer.json")


@pytest.fixture(autouse=True)
def nothing_around(tmp_path, monkeypatch):
    monkeypatch.setenv("ACESTEP_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)


def find(wanted=None):
    return find_text_model(wanted, PUBLISHED, what="the language model", needs=NEEDS)


def put(folder, names=NEEDS):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"{}")
    return folder


def test_without_a_wish_the_first_that_is_there(tmp_path):
    small = put(tmp_path / "models" / "lm-small")
    assert find() == small
    assert find("lm-small") == small
    large = put(tmp_path / "models" / "lm-large")
    assert find() == large
    own = put(tmp_path / "my-finetune")
    assert find("my-finetune") == own and find(str(own)) == own


def test_what_is_not_there_can_be_downloaded(tmp_path):
    with pytest.raises(ModelError) as caught:
        find()
    said, hint = str(caught.value), caught.value.hint
    assert "the language model 'lm-large' is not on this machine" in said
    assert str(tmp_path / "models" / "lm-large") in said
    assert "huggingface.co/ACE-Step/Ace-Step1.5, its folder lm-large/ as lm-large/" in hint
    assert "(about 3.7 GB, 8 GB of memory to run)" in hint and "lm-small" in hint
    assert "ACESTEP_MODELS" in hint
    with pytest.raises(ModelError) as caught:
        find("lm-small")
    assert "ACE-Step/lm-small" in caught.value.hint and "lm-large" not in caught.value.hint


def test_an_unset_folder_of_models_is_said(monkeypatch):
    monkeypatch.delenv("ACESTEP_MODELS")
    with pytest.raises(ModelError, match=r"\$ACESTEP_MODELS \(not set\)"):
        find()


def test_half_a_download_is_named(tmp_path):
    put(tmp_path / "models" / "lm-large", ["config.json"])
    with pytest.raises(ModelError, match="tokenizer.json is missing"):
        find()


def test_bars_come_back():
    from transformers.utils import logging

    for shown in (True, False):
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        with pytest.raises(ValueError, match="inside"), without_bars():
            assert not logging.is_progress_bar_enabled()
            raise ValueError("inside")
        assert logging.is_progress_bar_enabled() == shown
    logging.enable_progress_bar()
