"""Configs: the guide's defaults, frozen, strict, all mistakes at once."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from acestep.config import (
    COMMANDS,
    EditConfig,
    ExportConfig,
    GenerateConfig,
    PreprocessConfig,
    ScanConfig,
    TrainConfig,
)
from acestep.errors import ConfigError


def test_training_defaults_are_the_guides():
    config = TrainConfig(tensors="tensors")
    guide = {
        "rank": 64,
        "alpha": 128,
        "dropout": 0.1,
        "learning_rate": 1e-4,
        "epochs": 500,
        "batch_size": 1,
        "gradient_accumulation": 1,
        "save_every": 200,
        "seed": 42,
    }
    assert {name: value for name, value in config.model_dump().items() if name in guide} == guide
    assert PreprocessConfig(dataset="d").max_seconds == 240
    assert GenerateConfig().lyrics == "[Instrumental]"


def test_one_epoch_is_allowed_and_none_is_not():
    assert TrainConfig(tensors="t", epochs=1, save_every=1, rank=1).epochs == 1
    with pytest.raises(ConfigError) as caught:
        TrainConfig(tensors="t", epochs=0)
    assert caught.value.problems == [
        "--epochs 0: must be a whole number, at least 1; recommended: 100–2000"
    ]


def test_every_mistake_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        TrainConfig(rank=0, dropout=1, schedule="zigzag", epoch=5)
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 5
    for part in ("TENSORS is missing", "--rank 0", "--dropout 1", "--schedule zigzag", "epoch"):
        assert part in said
    assert "constant, cosine, linear" in said
    assert "did you mean epochs?" in said


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), float("-inf"), "1e999"])
def test_numbers_are_finite(value):
    with pytest.raises(ConfigError, match="--learning-rate"):
        TrainConfig(tensors="t", learning_rate=value)


def test_an_empty_path_is_no_path():
    with pytest.raises(ConfigError) as caught:
        ScanConfig(songs="", output="")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "SONGS ''",
        "--output ''",
    ]
    with pytest.raises(ConfigError, match="--lyrics-file"):
        EditConfig(dataset="d.json", song="1", lyrics_file="")


def test_one_value_for_a_list_and_a_metre_as_a_number():
    config = GenerateConfig(track="vocals", lora="jazz", lora_scale=0.5, timesignature=3)
    assert config.track == ["vocals"] and config.timesignature == "3"
    assert config.lora == [Path("jazz")] and config.lora_scale == [0.5]
    assert GenerateConfig(lora_scale=1).lora_scale == [1.0]
    assert EditConfig(dataset="d", timesignature=4).timesignature == "4"
    with pytest.raises(ConfigError, match="--timesignature True"):
        GenerateConfig(timesignature=True)


def test_alpha_follows_the_rank_and_the_learning_rate_prodigy_without_counting_as_given():
    config = TrainConfig(tensors="t", rank=16, optimizer="prodigy")
    assert (config.alpha, config.learning_rate) == (32.0, 1.0)
    assert config.model_fields_set == {"tensors", "rank", "optimizer"}
    config = TrainConfig(tensors="t", rank=16, alpha=16, optimizer="prodigy", learning_rate=0.5)
    assert (config.alpha, config.learning_rate) == (16.0, 0.5)


def test_configs_do_not_change():
    config = TrainConfig(tensors="t")
    with pytest.raises(ValidationError):
        config.rank = 8


def test_configs_come_back_from_json():
    for config in (
        TrainConfig(tensors="t", rank=8),
        GenerateConfig(lora=["a", "b"], lora_scale=[1, 0.5], guidance_interval=(0.1, 0.9)),
        ExportConfig(run="runs/jazz"),
    ):
        saved = json.loads(json.dumps(config.model_dump(mode="json")))
        assert type(config).model_validate(saved) == config


def test_a_saved_config_with_wrong_values_is_a_typed_error():
    with pytest.raises(ConfigError, match="--rank"):
        TrainConfig.model_validate({"tensors": "t", "rank": -1})


def test_every_command_has_one_sentence_and_every_knob_a_description():
    for config_class in COMMANDS.values():
        assert config_class.__doc__
        for name, field in config_class.model_fields.items():
            assert field.description, f"{config_class.__name__}.{name}"
            assert field.description[-1] in ".…)", f"{config_class.__name__}.{name}"


def test_relative_and_absolute_paths_are_kept_as_given():
    assert ScanConfig(songs="songs/../songs").songs == Path("songs/../songs")


def test_knobs_that_disagree_are_named_together_with_values_that_are_wrong():
    with pytest.raises(ConfigError) as caught:
        EditConfig(dataset="d", song="1", lyrics="la", lyrics_file="la.txt")
    assert caught.value.problems == ["--lyrics and --lyrics-file: give one of the two"]
    with pytest.raises(ConfigError) as caught:
        EditConfig(lyrics="la", lyrics_file="la.txt", bpm=0)
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "DATASET" in said and "--bpm 0" in said and "--lyrics and --lyrics-file" in said


def test_a_refused_value_is_not_also_called_a_disagreement():
    with pytest.raises(ConfigError) as caught:
        ExportConfig(run="r", bin=True, format="zip")
    assert len(caught.value.problems) == 1
    with pytest.raises(ConfigError, match="--bin --format merged"):
        ExportConfig(run="r", bin=True, format="merged")


def test_memory_is_given_as_people_say_it():
    for text, gib in (("8GB", 8), ("8", 8), ("7.5GiB", 7.5), (" 24 gb ", 24), ("6g", 6), (12, 12)):
        assert TrainConfig(tensors=Path("t"), memory_limit=text).memory_limit == gib
    assert TrainConfig(tensors=Path("t")).memory_limit is None
    for text in ("0GB", "-8", "8TB", "lots", "", "GB", "8 8", float("nan"), [8]):
        with pytest.raises(ConfigError, match="--memory-limit"):
            TrainConfig(tensors=Path("t"), memory_limit=text)


def test_the_words_that_checkpointing_had_go_on_meaning_the_same():
    words = {"on": "full", "off": "none", "auto": "auto", "products": "products"}
    for word, level in words.items():
        config = TrainConfig(tensors=Path("t"), gradient_checkpointing=word)
        assert config.gradient_checkpointing == level
    for wrong in ("half", "", True, ["on"]):
        with pytest.raises(ConfigError, match="none, products, attention, full"):
            TrainConfig(tensors=Path("t"), gradient_checkpointing=wrong)
