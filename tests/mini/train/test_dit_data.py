import numpy as np
import pytest
import torch

from acestep.mini.train.codes import load_codes
from acestep.mini.train.dit_data import Library, Mix, Sampler, held_out_batch
from acestep.mini.train.shards import HELD_OUT, load_shard, save_shard
from acestep.mini.train.text_prompts import Tokens
from acestep.mini.train.text_tokens import open_tokenizer
from acestep.model.condition import silence_context
from tests.mini.train.conftest import random_song

SILENCE = torch.arange(600.0)[None, :, None].expand(1, 600, 64)


@pytest.fixture
def sampler(prepared):
    library = Library(prepared / "latents")
    library.refresh()
    tokens = Tokens(open_tokenizer(prepared / "text"))
    return Sampler(library, tokens, SILENCE, load_codes(prepared))


def draws(sampler, count=300, frames=40):
    rng = np.random.default_rng(0)
    return [sampler.draw(frames, rng) for _ in range(count)]


def test_every_task_has_its_instruction_and_its_context(sampler):
    by_task = {sample.task: sample for sample in draws(sampler)}
    words = {
        "text2music": "Fill the audio semantic mask", "cover": "Generate audio semantic tokens",
        "repaint": "Repaint the mask area", "extract": "Extract the BASS track from the audio:",
        "lego": "Generate the BASS track based", "complete": "track with DRUMS | SYNTH:",
    }  # fmt: skip
    assert by_task.keys() == words.keys()
    for task, sample in by_task.items():
        assert words[task] in sample.prompt.caption_text
        assert sample.target.shape == (40, 64) and sample.context.shape == (40, 128)
        mask = sample.context[:, 64:]
        assert mask.min() == (mask.min() if task == "repaint" else 1)


def test_rhythm_counts_where_the_prompt_tells_it(sampler):
    for sample in draws(sampler, 100):
        assert [len(part) for part in sample.rhythm] == [40, 40]
        told = "bpm: N/A" not in sample.prompt.caption_text
        assert sample.counts == (told and sample.task in ("text2music", "cover", "repaint"))


def test_a_crop_has_the_silence_of_its_own_frames(sampler):
    starts = {int(s.context[0, 0]) for s in draws(sampler) if s.task == "text2music"}
    assert 0 in starts and len(starts) > 20
    assert all(start % 2 == 0 for start in starts)


def test_stems_are_what_they_are_called(sampler):
    mix = Mix(cover=0, repaint=0, stems=1, from_start=1)
    stems = Sampler(sampler.library, sampler.tokens, SILENCE, None, mix)
    by_target = {}
    for encoded in sampler.library.stems:
        whole, stem = encoded.latents[:40].float(), encoded.stem
        alone, rest = stem.alone[:40].float(), stem.rest[:40].float()
        by_target |= {("extract", whole): alone, ("lego", rest): alone, ("complete", alone): whole}
    for sample in draws(stems, 60):
        (target,) = [
            target
            for (task, source), target in by_target.items()
            if task == sample.task and torch.equal(source, sample.context[:, :64])
        ]
        assert torch.equal(sample.target, target)


def test_prompts_that_are_too_long_are_drawn_again(sampler):
    rng = np.random.default_rng(0)
    for _ in range(50):
        prompt = sampler.draw(40, rng, (70, 40)).prompt
        assert len(prompt.caption_ids) <= 70 and len(prompt.lyrics_ids) <= 40


def test_new_shards_are_taken_in(root):
    library = Library(root / "latents")
    library.refresh()
    assert (len(library.songs), len(library.stems)) == (4, 2)
    save_shard(root / "latents", "0001", [random_song(9)])
    library.refresh(most=4)
    assert len(library.songs) == 4
    library.refresh()
    assert len(library.songs) == 5


def test_held_out_songs_are_told_as_generation_tells_them(prepared, sampler):
    songs = load_shard(prepared / "latents", HELD_OUT)
    targets, context, prompts = held_out_batch(songs, SILENCE, sampler.tokens, 128)
    assert targets.shape == (2, 128, 64)
    assert torch.equal(context[1], silence_context(SILENCE, 128)[0])
    assert "- duration: 5 seconds" in prompts[0].caption_text
    assert songs[0].song.caption in prompts[0].caption_text


def test_without_codes_there_are_no_covers(sampler):
    plain = Sampler(sampler.library, sampler.tokens, SILENCE, None, Mix(cover=1.0))
    assert {sample.task for sample in draws(plain, 20)} == {"text2music"}
