"""Cards by memory and name, and how fast they are."""

import pytest

from acestep.errors import ConfigError
from acestep.training.machine import CARDS, named_machine, this_machine


@pytest.mark.parametrize(
    ("text", "name", "gib"),
    [
        ("12GB", "a card with 12 GB", 12),
        ("24", "a card with 24 GB", 24),
        ("7.5 gib", "a card with 7.5 GB", 7.5),
        ("RTX 4090", "RTX 4090", 24),
        ("rtx4060ti", "RTX 4060 Ti", 16),
        ("4060 8GB", "RTX 4060", 8),
        ("RTX 3060 12GB", "RTX 3060", 12),
        ("a100 80GB", "A100", 80),
        ("NVIDIA H100 80GB HBM3", "H100", 80),
        ("NVIDIA A100-SXM4-40GB", "A100", 40),
        ("NVIDIA L4", "L4", 24),
        ("Tesla T4", "T4", 16),
    ],
)
def test_a_card_is_known_by_memory_or_name(text, name, gib):
    machine = named_machine(text)
    assert (machine.name, machine.kind, machine.gib) == (name, "cuda", gib)
    assert machine.chip and not machine.here


@pytest.mark.parametrize("text", ["", "fast", "0GB", "-3", "12 apples", "1e9", "NaN", "99999GB"])
def test_what_is_no_card_is_refused_with_the_list(text):
    with pytest.raises(ConfigError, match="--gpu"):
        named_machine(text)


def test_every_card_is_found_by_its_own_name_and_memory_alone_gives_a_usual_one():
    assert [named_machine(card).name for card in CARDS] == list(CARDS)
    assert named_machine("24GB").chip == named_machine("RTX 3090").chip
    assert named_machine("12GB").chip == named_machine("RTX 3060").chip
    assert named_machine("500GB").chip == named_machine("H200").chip


def test_this_machine_is_here_and_a_device_that_is_not_is_refused():
    machine = this_machine("cpu")
    assert machine.here and machine.kind == "cpu" and machine.gib > 0.5 and machine.chip is None
    with pytest.raises(ConfigError, match="mps"):
        this_machine("mps")
