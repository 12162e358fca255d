"""Command lines to configs, and every mistake in one go."""

import shlex
from pathlib import Path

import pytest

from acestep.config import COMMANDS, GenerateConfig, TrainConfig
from acestep.errors import ConfigError
from acestep.flags import asks_for_help, help_text, parse
from acestep.knobs import knobs

ROOT = Path(__file__).resolve().parents[1]


def mistakes(*arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(arguments[0], list(arguments[1:]))
    assert f"acestep {arguments[0]} --help" in caught.value.hint
    return caught.value.problems


# The command lines of the README and the guide: each must go on working.
COMMAND_LINES = [
    "scan SONGS -o dataset.json",
    "scan SONGS -o dataset.json --name jazz --tag myjazz --tag-position prepend --all-instrumental",
    "label dataset.json",
    "label dataset.json --show 1",
    "label dataset.json --bpm-range 60-120 --overwrite bpm,keyscale --overwrite caption",
    "label dataset.json --no-analysis --captioner none",
    "edit dataset.json 3 --caption piano --bpm 90 --lyrics-file words.txt",
    "preprocess dataset.json -o tensors/ --model mini",
    "preprocess dataset.json -o tensors/ --segment-seconds 60 --offload --device cpu",
    "train tensors/ -o runs/jazz --model mini --rank 32 --alpha 64 --dropout 0.1 "
    "--learning-rate 1e-4 --epochs 5 --batch-size 1 --gradient-accumulation 2 --save-every 5 "
    "--shift 3.0 --seed 42 --resume",
    "train tensors/ --validation 0.1 --patience 3 --targets attention+mlp --timesteps turbo "
    "--gradient-checkpointing auto --accept-foreign --optimizer prodigy --schedule cosine",
    "export runs/jazz -o my_lora/ --checkpoint epoch_400 --format peft",
    "export runs/jazz -o my_lora/ --bin",
    "generate --model mini --lora my_lora/ --caption jazz --lyrics-file words.txt --duration 30 "
    "--bpm 90 --seed 7 -o song.flac",
    "generate --task-type repaint --src-audio a.wav --repainting-start 1 --repainting-end 2",
    "generate --lora a --lora b --lora-scale 1 --lora-scale 0.5 --guidance-interval 0.1 0.9",
    "models",
    "doctor",
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_documented_command_lines_are_understood(line):
    name, *arguments = line.split()
    command = parse(name, arguments)
    assert command.name == name and isinstance(command.config, COMMANDS[name])


# What a knob does not go without
BESIDE = {
    ("train", "gpu"): ["--dry-run"],
    ("export", "model"): ["--format", "merged"],
    ("edit", "format"): ["--save-as", "x"],
    ("edit", "link"): ["--format", "audiofolder", "--save-as", "x"],
    ("studio", "host"): ["--auth", "me:secret"],
    ("studio", "share"): ["--auth", "me:secret"],
    ("label", "beats"): ["--beats-checkpoint", "x"],
    ("label", "beats_checkpoint"): ["--beats", "beat-this"],
    ("label", "captioner_model"): ["--captioner", "music-lm"],
    ("label", "lyrics_model"): ["--lyrics", "whisper"],
}


def flags_in(words: list[str]) -> int:
    return sum(word.startswith("--") for word in words)


# Values of knobs that do not take any
PLACES = {"repo": "me/jazz"}  # what stands in a place and is not any text
VALUES = {
    "tile_seconds": "7.5", "teach_guidance": "2.5", "overwrite": "bpm", "bpm_range": "60-120",
    "seconds": "12", "auth": "me:secret", "shard_size": "500MB", "part": "2/8",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_knob_can_be_given_by_every_spelling_of_its_flag(name):
    example = {"path": "x", "text": "x", "integer": "7", "number": "0.5", "switch": None}
    required = [str(k.name) for k in knobs(COMMANDS[name]) if k.required]
    places = [PLACES.get(name, name) for name in required]
    for knob in knobs(COMMANDS[name]):
        for flag in knob.flags:
            value = knob.choices[-1] if knob.choices else example[knob.kind]
            value = VALUES.get(knob.name, value)
            values = [] if value is None else [value] * (knob.count or 1)
            beside = BESIDE.get((name, knob.name), [])
            config = parse(name, [*places, *beside, flag, *values]).config
            assert {*required, knob.name} <= config.model_fields_set
            assert len(config.model_fields_set) == len(places) + 1 + flags_in(beside)
            underscored = flag[:2] + flag[2:].replace("-", "_")
            assert parse(name, [*places, *beside, underscored, *values]).config == config


def test_a_flag_may_mean_something_without_a_value():
    for arguments, steps in ((["--undo"], 1), (["--undo", "3"], 3), (["--undo=3"], 3)):
        assert vars(parse("edit", ["d.json", *arguments]).config)["undo"] == steps
    assert "--undo [N]" in help_text("edit")
    with pytest.raises(ConfigError, match="--redo x: must be a whole number"):
        parse("edit", ["d.json", "--redo", "x"])


def test_every_command_line_in_the_documentation_is_understood():
    lines = [
        line
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("acestep ")
    ]
    assert len(lines) >= 10
    for line in lines:
        _, name, *arguments = shlex.split(line, comments=True)
        assert isinstance(parse(name, arguments).config, COMMANDS[name]), line


def test_values_arrive_as_they_were_typed():
    caption = 'piano, "soft" [blue] {x} None\\n, 100 %'
    config = parse("generate", ["--caption", caption, "--lora", "a, b.safetensors"]).config
    assert isinstance(config, GenerateConfig)
    assert config.caption == caption
    assert config.lora == [Path("a, b.safetensors")]
    assert parse("generate", ["--caption", "null"]).config.caption == "null"
    assert parse("generate", ["--caption=--loud--"]).config.caption == "--loud--"
    assert parse("generate", ["--caption", "-soft piano"]).config.caption == "-soft piano"
    assert parse("generate", ["--caption="]).config.caption == ""


def test_only_what_is_given_counts_as_given():
    config = parse("train", ["t", "--rank", "8", "--no-resume"]).config
    assert config.model_fields_set == {"tensors", "rank", "resume"}
    assert isinstance(config, TrainConfig) and config.alpha == 16


def test_places_and_flags_may_come_in_any_order():
    expected = parse("edit", ["d.json", "3", "--bpm", "90"]).config
    for arguments in (
        ["--bpm", "90", "d.json", "3"],
        ["d.json", "--bpm", "90", "3"],
        ["d.json", "--bpm=90", "--", "3"],
    ):
        assert parse("edit", arguments).config == expected
    assert parse("scan", ["--", "-odd-folder"]).config.songs == Path("-odd-folder")
    assert parse("scan", ["songs", "-od.json"]).config.output == Path("d.json")


def test_switches_can_be_turned_off_and_left_open():
    assert parse("edit", ["d", "1", "--bpm", "9"]).config.instrumental is None
    assert parse("edit", ["d", "1", "--no-instrumental"]).config.instrumental is False
    assert parse("edit", ["d", "1", "--instrumental"]).config.instrumental is True


def test_negative_numbers_are_values():
    config = parse("generate", ["--repainting-start", "-1.5", "--lora-scale", "-1"]).config
    assert config.repainting_start == -1.5 and config.lora_scale == [-1.0]


def test_how_it_is_shown_is_part_of_every_command():
    assert parse("models", []) == parse("models", [])
    command = parse("train", ["t", "--json", "--quiet"])
    assert command.json and command.quiet
    assert not parse("train", ["t"]).json


def test_all_mistakes_are_told_at_once():
    problems = mistakes(
        "train", "--lr", "3", "--rank", "x", "--epochs", "0", "--resume=yes", "--schedule", "up",
        "--save_evry", "5", "--dropout",
    )  # fmt: skip
    assert problems == [
        "--lr 3: unknown; did you mean --learning-rate?",
        "--resume=yes: takes no value",
        "--save-evry 5: unknown; did you mean --save-every?",
        "--dropout: needs a value: a number, at least 0 and below 1",
        "TENSORS is missing: Folder that preprocess wrote.",
        "--rank x: must be a whole number, at least 1; recommended: 8–256",
        "--epochs 0: must be a whole number, at least 1; recommended: 100–2000",
        "--schedule up: must be one of constant, cosine, linear",
    ]


def test_what_is_too_much_or_unknown_is_named():
    assert mistakes("train", "a", "b") == ["b: unexpected"]
    assert mistakes("doctor", "x", "-y") == ["-y: unknown", "x: unexpected"]
    assert mistakes("models", "--jsn") == ["--jsn: unknown; did you mean --json?"]
    assert mistakes("generate", "--guidance-interval", "1") == [
        "--guidance-interval 1: must be 2 values, each a number"
    ]
    assert mistakes("generate", "--lora") == ["--lora: needs a value: a path"]


def test_knobs_that_disagree_are_wrong_usage():
    (problem,) = mistakes("edit", "d", "1", "--lyrics", "la", "--lyrics-file", "la.txt")
    assert problem == "--lyrics and --lyrics-file: give one of the two"


def test_abbreviations_are_not_guessed_at():
    assert mistakes("train", "t", "--epoch", "5") == ["--epoch 5: unknown; did you mean --epochs?"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_knob_with_default_and_range(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")  # nothing is wrapped
    text = help_text(name)
    flat = " ".join(text.split())
    assert text.startswith(f"usage: acestep {name}")
    for knob in knobs(COMMANDS[name]):
        assert knob.label in flat
        assert " ".join(knob.help.split()) in flat
        if knob.default_text():
            assert f"default {knob.default_text()}" in flat
        if knob.range_text():
            assert f"recommended {knob.range_text()}" in flat


def test_help_is_asked_for_by_flag_only():
    assert asks_for_help(["t", "-h"]) and asks_for_help(["--help"])
    assert not asks_for_help(["--", "--help"]) and not asks_for_help(["help"])
