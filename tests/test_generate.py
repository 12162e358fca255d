"""The verb: one piece into one file, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from acestep.config import GenerateConfig
from acestep.data.audio import read_audio, write_audio
from acestep.errors import AudioError, ConfigError
from acestep.events import Finished, Progress, Saved, Started
from acestep.generate import generate, output_file

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "upstream_tiny" / "acestep-v15-turbo"
RATE = 48000


@pytest.fixture
def source() -> np.ndarray:
    """Three seconds of a chord that swells, not a whole number of frames."""
    time = np.arange(3 * RATE + 700) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.5, 330))
    left = 0.2 * chord * np.clip(time, 0.2, 1)
    return np.stack([left, 0.8 * left]).astype(np.float32)


def test_the_verb(tmp_path, source):
    song = tmp_path / "in.wav"
    write_audio(song, source, RATE)
    lyrics = tmp_path / "lyrics.txt"
    lyrics.write_text("\ufeff[Verse 1]\nLa la", encoding="utf-8")
    out = tmp_path / "new" / "out.flac"
    config = GenerateConfig(
        caption="techno", lyrics_file=lyrics, duration=2, steps=2, task="cover", src_audio=song,
        reference_audio=song, output=out,
    )  # fmt: skip
    events = list(generate(config))
    assert isinstance(events[0], Started) and events[0].facts["model"] == "mini"
    progress = [event.done for event in events if isinstance(event, Progress)]
    assert progress == [0, 1, 2]
    assert events[-2:-1] == [Saved("audio", str(out))]
    assert isinstance(events[-1], Finished)
    assert events[-1].facts["seed"] == 42
    assert events[-1].facts["lyrics_text"].endswith("[Verse 1]\nLa la<|endoftext|>")
    assert read_audio(out).shape == (2, 2 * RATE)


def test_the_verb_with_adapters(tmp_path):
    adapters = [GOLDEN / "adapters" / f"upstream_peft_{kind}_r4_a8" for kind in ("attn", "dora")]
    common = {"caption": "x", "duration": 1, "model": str(TINY)}
    plain = GenerateConfig(**common, output=tmp_path / "plain.wav")
    off = GenerateConfig(
        **common, lora=adapters, lora_scale=[0.0, 0.0], output=tmp_path / "off.wav"
    )
    on = GenerateConfig(**common, lora=adapters, lora_scale=[0.5], output=tmp_path / "on.wav")
    facts = [list(generate(config))[-1].facts for config in (plain, off, on)]
    assert facts[2]["adapters"] == {"upstream_peft_attn_r4_a8": 0.5, "upstream_peft_dora_r4_a8": 1}
    base, silent, loud = (
        (tmp_path / f"{name}.wav").read_bytes() for name in ("plain", "off", "on")
    )
    assert base == silent != loud


def test_the_verb_says_everything_that_is_wrong(tmp_path):
    config = GenerateConfig(
        task="cover", output=tmp_path / "x.m4b", lyrics="la", lyrics_file=tmp_path / "no",
        lora_scale=[1.0],
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        next(generate(config))
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_lyrics_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "lyrics.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"lyrics\.txt"):
        next(generate(GenerateConfig(lyrics_file=file, output=tmp_path / "x.wav")))
    assert not (tmp_path / "x.wav").exists()


def test_a_source_that_is_not_audio(tmp_path):
    file = tmp_path / "song.wav"
    file.write_text("not audio")
    config = GenerateConfig(task="cover", src_audio=file, output=tmp_path / "x.wav")
    with pytest.raises(AudioError, match=r"song\.wav"):
        next(generate(config))


def test_several_seeds_in_one_go_are_what_each_is_alone(tmp_path):
    common = {"caption": "x", "duration": 1, "model": str(TINY), "seed": 7}
    config = GenerateConfig(**common, count=3, output=tmp_path / "new" / "song.wav")
    events = list(generate(config))
    files = [tmp_path / "new" / f"song_{seed}.wav" for seed in (7, 8, 9)]
    assert [event.path for event in events if isinstance(event, Saved)] == list(map(str, files))
    assert sorted((tmp_path / "new").iterdir()) == files
    assert events[-1].facts["seed"] == 9
    for seed, file in zip((7, 8, 9), files, strict=True):
        one = GenerateConfig(**{**common, "seed": seed}, output=tmp_path / f"{seed}.wav")
        list(generate(one))
        assert (tmp_path / f"{seed}.wav").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("song.flac", "song_8.flac"), ("7_on.flac", "8_on.flac"), ("take_77.wav", "take_77_8.wav")],
)
def test_the_seed_stands_in_the_name(name, expected):
    config = GenerateConfig(seed=7, count=2, output=Path("out") / name)
    assert output_file(config, 8) == Path("out") / expected
    alone = GenerateConfig(seed=7, output=Path(name))
    assert output_file(alone, 7) == Path(name)


def test_there_is_no_seed_beyond_the_last(tmp_path):
    config = GenerateConfig(seed=2**63 - 2, count=3, output=tmp_path / "x.wav")
    with pytest.raises(ConfigError, match="--count 3"):
        next(generate(config))
