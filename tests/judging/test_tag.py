"""What the tag does, on cells that were made: a switch, a leak, half of each, nothing."""

import json

import numpy as np
import pytest
import torch

from acestep.adapters.files import read_adapter
from acestep.adapters.stack import AdaptedParts
from acestep.data.labels import PromptLabels
from acestep.data.tensors import load_samples, read_manifest
from acestep.judging import features, latents
from acestep.judging.songs import taught_songs
from acestep.judging.style import learn_style
from acestep.judging.tag import Cells, judge_tag
from acestep.judging.trials import make_trials
from acestep.judging.whitening import Clips, Heard, gather
from acestep.mini.corpus import RATE, compose_round, render
from acestep.mini.folder import write_songs
from acestep.mini.teach import perform
from acestep.model.base import find_model
from acestep.model.flow import schedule
from acestep.model.sample import Condition, denoise, draw_noise
from acestep.model.scene import text2music_conditions


def cells(on_tag, on_plain, off_tag=0.0, off_plain=0.0, clips=16, seed=0):
    """Cells with these means; clips differ by prompt (shared) and by chance."""
    rng = np.random.default_rng(seed)
    prompts = rng.normal(0, 0.3, clips)
    means = (on_tag, on_plain, off_tag, off_plain)
    return Cells(*(mean + prompts + rng.normal(0, 0.1, clips) for mean in means))


@pytest.mark.parametrize(
    ("on_tag", "on_plain", "word"),
    [
        (0.9, 0.05, "switches"),
        (0.9, 0.5, "partly"),
        (0.9, 0.9, "leaks"),
        (0.0, 0.0, "nothing to switch"),
    ],
)
def test_the_word(on_tag, on_plain, word):
    tag = judge_tag(cells(on_tag, on_plain), "zz")
    assert tag.word == word
    assert tag.sentence and tag.advice
    assert tag.switch.low < on_tag - on_plain < tag.switch.high
    assert tag.leak.low < on_plain < tag.leak.high


def test_switch_and_leak_add_up_to_the_gain():
    tag = judge_tag(cells(0.8, 0.3), "zz")
    assert tag.switch.value + tag.leak.value == pytest.approx(tag.gain.value)
    assert tag.share is not None
    assert tag.share.value == pytest.approx(tag.leak.value / tag.gain.value)


def test_a_tag_that_the_base_knows_is_said():
    tag = judge_tag(cells(0.9, 0.1, off_tag=0.5), "jazz")
    assert "base itself follows the tag" in tag.sentence
    assert tag.alone.low > 0.4


def test_pairs_narrow_the_interval():
    """Prompts differ far more than the cells do; only clip-by-clip differences can tell."""
    tag = judge_tag(cells(0.15, 0.0), "zz")
    assert tag.switch.low > 0
    shuffled = cells(0.15, 0.0)
    mixed = Cells(shuffled.on_tag, shuffled.on_plain[::-1], shuffled.off_tag, shuffled.off_plain)
    width = tag.switch.high - tag.switch.low
    other = judge_tag(mixed, "zz").switch
    assert other.high - other.low > 2 * width


def test_intervals_hold_what_they_promise():
    inside = [
        (tag := judge_tag(cells(0.5, 0.2, seed=seed), "zz").switch).low < 0.3 < tag.high
        for seed in range(60)
    ]
    assert np.mean(inside) > 0.75  # 0.9 nominal; a bootstrap of 16 is a little narrow


def test_few_clips_and_clips_that_are_none_have_no_verdict():
    assert judge_tag(cells(0.9, 0.0, clips=4), "zz").word == "cannot be told"
    silent = cells(0.9, 0.0)
    silent.on_tag[:12] = np.nan
    tag = judge_tag(silent, "zz")
    assert (tag.word, tag.clips) == ("cannot be told", 4)
    silent.on_tag[:] = np.nan
    values = judge_tag(silent, "<script>").as_dict()
    assert values["word"] == "cannot be told"
    json.dumps(values, allow_nan=False)


# With music for clips: a folder of cumbia, and a base that plays four other styles

PROMPTS = tuple(map(str, range(8)))
BASE = ("house", "ballad", "folk", "techno")


def music(styles, first):
    """Features of eight short songs, the styles in turn."""
    songs = [compose_round(first + n, 6.0, styles[n % len(styles)]) for n in range(8)]
    return np.stack([features.hear(render(song), RATE) for song in songs])


@pytest.fixture(scope="module")
def positions():
    """From a set of clips to their places between base and folder."""

    def heard(number):
        audio = render(compose_round(960_000 + number, 6.0, "cumbia"))
        parts = [features.hear(half, RATE) for half in np.array_split(audio, 2, axis=1)]
        return Heard(features.hear(audio, RATE), {}, parts)

    folder = gather((f"song {number}", heard(number)) for number in range(6))
    judge = learn_style(folder, Clips(music(BASE, 970_000), PROMPTS), aspects={})
    return lambda rows: judge.positions(Clips(rows, PROMPTS))


@pytest.fixture(scope="module")
def clips(positions):
    """Places of: two sets of cumbia, two of the base's styles."""
    return {
        "cumbia": positions(music(("cumbia",), 980_000)),
        "more cumbia": positions(music(("cumbia",), 981_000)),
        "base": positions(music(BASE, 970_000)),
        "base again": positions(music(BASE, 971_000)),
    }


def test_a_switch_is_told_from_a_leak_by_its_sound(clips):
    base = (clips["base"], clips["base again"])
    switch = judge_tag(Cells(clips["cumbia"], clips["base again"], *base), "zz")
    leak = judge_tag(Cells(clips["cumbia"], clips["more cumbia"], *base), "zz")
    nothing = judge_tag(Cells(*base, *base), "zz")
    assert (switch.word, leak.word, nothing.word) == ("switches", "leaks", "nothing to switch")
    assert switch.gain.value == pytest.approx(1, abs=0.25)
    assert leak.share.value == pytest.approx(1, abs=0.25)


# With an adapter: the small base knows no such word as the tag, so what it is taught leaks

FRAMES = 250
TEACHING = (
    "--targets attention+mlp --rank 16 --dropout 0 --learning-rate 1.5e-3 --teach-guidance 2.5"
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Songs and an adapter that was taught them in seconds."""
    root = tmp_path_factory.mktemp("cumbia")
    songs, dataset, tensors, run = (str(root / name) for name in ("s", "d.json", "t", "run"))
    list(write_songs(root / "s", "cumbia", 5, 10.0))
    for words in (
        ["scan", songs, "-o", dataset, "--tag", "zztune", "--all-instrumental"],
        ["preprocess", dataset, "-o", tensors, "--model", "mini"],
        ["train", tensors, "-o", run, "--epochs", "10", "--save-every", "10", *TEACHING.split()],
    ):
        list(perform(words))
    found = taught_songs(load_samples(root / "t", read_manifest(root / "t")))
    return found, read_adapter(root / "run" / "checkpoints" / "epoch_10")


def test_an_adapter_that_leaks(taught):
    """Latents are enough to tell, and take no decoder."""
    songs, adapter = taught
    parts = AdaptedParts(find_model("mini"), torch.device("cpu"), torch.float32)
    parts.add(adapter, "cumbia")
    trials = make_trials([(song.id, song.labels) for song in songs], "zztune", "prepend", (), 8, 42)

    def made(on, tagged):
        parts.enabled = on
        rows = []
        for trial in trials:
            labels = PromptLabels(
                trial.caption if tagged else trial.plain, trial.lyrics, trial.bpm, trial.keyscale,
                trial.timesignature, seconds=10.0,
            )  # fmt: skip
            condition = Condition(*text2music_conditions(parts, labels, FRAMES))
            noise = draw_noise(trial.seed, FRAMES, parts.channels)
            *_, clip = denoise(parts.transformer(), noise, schedule(8, 3.0), condition)
            rows.append(latents.feel(clip[0].numpy()))
        return Clips(np.stack(rows), tuple(trial.id for trial in trials))

    cells = [made(on, tagged) for on in (True, False) for tagged in (True, False)]
    groups = latents.groups(parts.channels)
    folder = gather((song.id, in_halves(song.samples[0].latents.numpy())) for song in songs)
    judge = learn_style(folder, cells[2], groups=groups, aspects={})
    tag = judge_tag(Cells(*(judge.positions(cell) for cell in cells)), "zztune")
    assert tag.word == "leaks"
    assert tag.leak.low > 0.2
    assert abs(tag.switch.value) < 0.1


def in_halves(frames):
    """What is felt of a song's latents, and of both halves."""
    return Heard(latents.feel(frames), {}, [latents.feel(h) for h in np.array_split(frames, 2)])
