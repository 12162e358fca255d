import json
from pathlib import Path

import pytest
from adapter_data import (
    FOLDERS,
    copy_adapter,
    trained,
)
from safetensors.torch import load_file, save_file

from acestep.adapters.card import (
    HEADER_KEY,
    check_card,
    header,
    page,
    plain_name,
    read_card,
    shareable,
)
from acestep.adapters.files import read_adapter, save_adapter
from acestep.errors import AdapterError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

CARD = {
    "base_model": "mini",
    "base_fingerprint": "abc",
    "dataset": {"name": "my | jazz", "tag": "myjazz", "songs": 8},
    "step": 12,
    "held_out_loss": 0.123456789,
}


def test_the_card_says_what_it_is(tmp_path):
    save_adapter(trained(), tmp_path, card=CARD)
    adapter = read_adapter(tmp_path)
    assert adapter.card == CARD
    assert adapter.dropout == 0.1
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for text in ("mini", "`myjazz`", "# my \\| jazz", "| Songs | 8 |", "| Rank | 4 |", "0.123457"):
        assert text in page
    assert json.loads((tmp_path / CONFIG).read_text())["base_model_name_or_path"] == "mini"


def test_a_card_from_an_unknown_hand_does_no_harm(tmp_path):
    tensors = load_file(FOLDERS["A"] / WEIGHTS)
    for card, expected in (
        ('{"base_model": 3, "dataset": "x", "tag": "y"}', {"tag": "y"}),
        ("[1]", {}),
    ):
        folder = tmp_path / str(len(card))
        copy_adapter("A", folder)
        save_file(tensors, folder / WEIGHTS, metadata={"acestep_card": card})
        assert read_adapter(folder).card == expected
    save_file(tensors, folder / WEIGHTS, metadata={"acestep_card": "{"})
    with pytest.raises(AdapterError, match="not valid JSON"):
        read_adapter(folder)


def test_header_and_back():
    assert read_card(header(CARD), Path("x")) == CARD
    assert read_card({}, Path("x")) == {}
    assert list(header({"ü": 1})) == [HEADER_KEY]
    assert check_card({"base_model": None, "base_path": "p"}) == {"base_path": "p"}


def test_a_page_stays_one_table_whatever_the_card_says():
    adapter = read_adapter(FOLDERS["B"])
    adapter.card.update(base_model="a\n| b |\n---", dataset={"tag": "`x`\n# y"})
    text = page(adapter)
    assert text.count("\n---\n") == 1  # the front matter's end
    assert "| Base model | a \\| b \\| --- |" in text
    assert "| Rank | 2, 4 |" in text and "| Alpha | 1, 4, 6 |" in text
    assert "\n# y" not in text


@pytest.mark.parametrize(
    "given, name",
    [
        ("mini", "mini"),
        ("acestep-v15-turbo", "acestep-v15-turbo"),
        ("ACE-Step/Ace-Step1.5", "ACE-Step/Ace-Step1.5"),
        ("/data/models/acestep-v15-base/", "acestep-v15-base"),
        ("C:\\models\\acestep-v15-sft", "acestep-v15-sft"),
        ("../../secret", "secret"),
        ("../secret", "secret"),
        ("\\\\host\\share", "share"),
        ("..", ""),
        ("", ""),
    ],
)
def test_the_base_is_a_name_never_a_path(given, name):
    assert plain_name(given) == name
    assert check_card({"base_model": given}) == {"base_model": name}


def test_a_folder_on_another_machine_is_left_out():
    for path in ("\\\\host\\share", "//host/share"):
        assert check_card({"base_path": path}) == {}


def test_a_card_that_is_given_away_names_no_place_on_this_machine():
    card = {
        "base_model": "m",
        "base_path": "/data/me/m",
        "dataset": {"tag": "t", "path": "/data/me/d.json"},
    }
    assert shareable(card) == {"base_model": "m", "dataset": {"tag": "t"}}
    assert card["dataset"]["path"], "the original is left alone"
    assert shareable({"dataset": 3}) == {"dataset": 3}
