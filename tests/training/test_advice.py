"""Settings for a situation: the guide's tables, other models, what is given already."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from acestep.config import TrainConfig
from acestep.flags import parse
from acestep.model.shape import find_base
from acestep.training.advice import advise
from acestep.training.machine import Machine, named_machine
from acestep.training.situation import Situation

GUIDE = Situation(
    songs=8,
    variants=0,
    clips=8,
    seconds=1800,
    clip_seconds=225,
    longest=240,
    spread=0.7,
    base=find_base("acestep-v15-turbo"),
    machine=named_machine("RTX 3090"),
)
CPU = Machine("this CPU", "cpu", 16 * 2**30, here=True)


def values(**changes):
    return advise(replace(GUIDE, **changes)).values()


def test_the_guides_own_example_gives_the_guides_settings():
    found = values()
    assert (found["rank"], found["alpha"], found["dropout"]) == (64, 128, 0.1)
    assert (found["learning_rate"], found["epochs"], found["targets"]) == (1e-4, 500, "attention")
    assert (found["batch_size"], found["gradient_accumulation"]) == (2, 4)
    assert found["warmup_steps"] == 50 and "teach_guidance" not in found


@pytest.mark.parametrize(
    ("gib", "rows"), [("12GB", (1, 4)), ("16GB", (1, 8)), ("24GB", (2, 4)), ("40GB", (4, 4))]
)
def test_batch_and_accumulation_go_by_memory(gib, rows):
    found = values(machine=named_machine(gib), clips=40, songs=40)
    assert (found["batch_size"], found["gradient_accumulation"]) == rows


@pytest.mark.parametrize(
    ("songs", "least", "most"),
    [(1, 800, 1000), (4, 800, 1000), (8, 500, 800), (15, 500, 800), (20, 300, 500), (90, 300, 500)],
)
def test_epochs_go_by_the_number_of_songs(songs, least, most):
    assert least <= values(songs=songs, clips=songs)["epochs"] <= most
    # A variant counts as a song
    assert values(songs=songs - songs // 2, variants=songs // 2, clips=songs)["epochs"] <= most


def test_the_rank_goes_by_style_memory_and_how_much_music_there_is():
    assert [values(spread=s)["rank"] for s in (None, 0.1, 0.7, 1.5)] == [64, 32, 64, 128]
    assert values(spread=1.5)["learning_rate"] == 8e-5  # the guide's example at 128
    assert values(spread=1.5, seconds=600)["rank"] == 64
    assert values(machine=named_machine("12GB"))["rank"] == 32
    assert values(songs=3, clips=3)["dropout"] == 0.2 == values(seconds=60)["dropout"]


def test_a_step_has_no_more_samples_than_there_are_and_a_run_enough_steps():
    for clips in (1, 2, 3, 5, 8, 30):
        found = values(songs=clips, clips=clips, machine=named_machine("80GB"))
        together = found["batch_size"] * found["gradient_accumulation"]
        assert 1 <= together <= clips
        assert found["epochs"] * -(-clips // together) >= 150
    found = advise(replace(GUIDE, clips=64, songs=64), processes=4).values()
    assert found["batch_size"] * found["gradient_accumulation"] * 4 == 8


def test_a_narrower_model_gets_a_higher_rate_a_lower_rank_and_fewer_epochs():
    found = values(base=find_base("mini"), machine=CPU, clip_seconds=12, longest=12)
    assert found["learning_rate"] == 1.1e-3 and found["rank"] == 16 and found["epochs"] == 50
    assert found["targets"] == "attention+mlp" and found["teach_guidance"] == 2.5
    assert found["batch_size"] * found["gradient_accumulation"] == 2
    wide = values(base=find_base("acestep-v15-xl-base"))
    assert wide["learning_rate"] == 8e-5 and wide["epochs"] == 500


def test_what_does_not_fit_is_said_and_cured():
    twelve = advise(replace(GUIDE, machine=named_machine("12GB")))
    assert twelve.values()["gradient_checkpointing"] == "products" and twelve.memory.fits
    assert "base_precision" not in twelve.values()
    before = {one.knob for one in twelve.settings if one.verb == "preprocess"}
    assert before == {"offload", "tile_seconds"}
    large = advise(replace(GUIDE, machine=named_machine("200GB"), longest=60))
    assert large.values()["gradient_checkpointing"] == "auto"
    assert {one.verb for one in large.settings} == {"train"}
    xl = find_base("acestep-v15-xl-base")
    eight = advise(replace(GUIDE, machine=named_machine("8GB"), base=xl))
    assert eight.values()["base_precision"] == "int8" and eight.memory.fits
    tight = replace(GUIDE, machine=named_machine("6GB"), longest=600, base=xl)
    (cut,) = (one for one in advise(tight).settings if one.knob == "segment_seconds")
    assert cut.value == 120
    hopeless = advise(replace(tight, machine=named_machine("3GB")))
    assert not hopeless.memory.fits and "does not fit" in hopeless.memory.sentence
    assert "a card with" in hopeless.settings[-1].flag
    assert hopeless.settings[-1].knob not in hopeless.values()


def test_a_card_that_is_here_measures_what_it_computes_again():
    here = replace(named_machine("8GB"), here=True)
    found = advise(replace(GUIDE, machine=here))
    assert found.values()["gradient_checkpointing"] == "auto"
    assert "patches_at_once" not in found.values()
    (why,) = (one.reason for one in found.settings if one.knob == "gradient_checkpointing")
    assert "measures" in why and "GiB" in why


def test_fewer_patches_together_are_said_where_no_more_fit():
    short = replace(GUIDE, longest=60, clip_seconds=60, machine=named_machine("12GB"), clips=40)
    found = advise(short, {"batch_size": 4, "epochs": 500}).values()
    assert 750 <= found["patches_at_once"] < 3000
    assert advise(short, {"patches_at_once": 800}).estimate.switches["patches_at_once"].value == 800


def test_what_is_given_stays_and_the_rest_follows_it():
    advice = advise(GUIDE, {"rank": 16, "epochs": 20, "batch_size": 1})
    assert not {"rank", "epochs", "batch_size"} & advice.values().keys()
    assert advice.values()["alpha"] == 32 and advice.values()["save_every"] == 4
    assert advice.values()["gradient_accumulation"] == 1  # 160 samples make few steps
    prodigy = advise(GUIDE, {"optimizer": "prodigy"}).values()
    assert "learning_rate" not in prodigy


def test_every_value_has_a_reason_and_is_one_that_train_takes():
    for songs in (1, 8, 50):
        for base in ("mini", "acestep-v15-turbo", "acestep-v15-xl-sft"):
            for machine in (CPU, named_machine("8GB"), named_machine("H200")):
                situation = replace(
                    GUIDE, songs=songs, clips=songs, base=find_base(base), machine=machine
                )
                advice = advise(situation)
                assert all(len(one.reason) > 10 for one in advice.settings)
                name, *rest = shlex.split(advice.command(Path("my tensors"), Path("r")))[1:]
                config = parse(name, rest).config
                assert isinstance(config, TrainConfig) and config.tensors == Path("my tensors")
                assert {k: vars(config)[k] for k in advice.values()} == advice.values()
                assert advice.as_dict()["time"]["seconds"] > 0
