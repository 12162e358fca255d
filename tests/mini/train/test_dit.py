"""The diffusion stage: what it learns from is what generation gives, and it resumes bit by bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep import AceStepPipeline
from acestep.errors import RunError
from acestep.events import Step
from acestep.mini.train.dit import DitConfig, DitStage, clock, draw_times, train
from acestep.mini.train.dit_data import Mix, held_out_batch
from acestep.mini.train.network import condition_states, pad_prompts, silent_timbre
from acestep.mini.train.shards import HELD_OUT, load_shard
from acestep.model.scene import Source, task_context
from acestep.model.tasks import code_hints, source_context
from tests.mini.train.conftest import ENDLESS


def config(root, steps, **settings):
    return DitConfig(
        resume=root, steps=steps, batch=2, long=0.3, longest=0, fused=False, warmup=1, **settings
    )


def test_training_sees_what_generation_gives(root):
    stage = DitStage(config(root, 1))
    for module in stage.modules.values():
        module.load_state_dict({k: v.bfloat16() for k, v in module.state_dict().items()})
    stage.export(root)
    songs = load_shard(root / "latents", HELD_OUT)
    _, context, prompts = held_out_batch(songs, stage.sampler.silence, stage.sampler.tokens, 128)
    texts = pad_prompts(prompts, 90, 120)
    text, condition = stage.modules["text"], stage.modules["condition"]
    with torch.no_grad():
        states, real = condition_states(text, condition, silent_timbre(condition), texts)

    pipeline = AceStepPipeline(str(root / "pipeline"), device="cpu", precision="float32")
    for number, encoded in enumerate(songs):
        seen: dict[str, torch.Tensor] = {}
        hook = pipeline._parts.transformer().register_forward_pre_hook(
            lambda _module, _args, inputs, seen=seen: seen.update(inputs), with_kwargs=True
        )
        song = encoded.song
        pipeline.generate(
            caption=song.caption, lyrics=song.lyrics, language=song.language, bpm=song.bpm,
            keyscale=song.keyscale, timesignature=song.timesignature, duration=5.12, steps=1,
        )  # fmt: skip
        hook.remove()
        assert torch.equal(seen["context_latents"][0], context[number])
        mine = states[number][real[number]]
        torch.testing.assert_close(mine, seen["encoder_hidden_states"][0], rtol=0, atol=2e-5)


@pytest.mark.parametrize("task", ["cover", "extract"])
def test_sources_are_heard_as_generation_hears_them(root, task):
    stage = DitStage(config(root, 1))
    stage.export(root)
    parts = AceStepPipeline(str(root / "pipeline"), device="cpu", precision="float32")._parts
    sampler = replace(stage.sampler, codes=parts.audio_tokenizer(), mix=Mix(from_start=1.0))
    encoded = sampler.library.stems[0]
    song = encoded.latents[:128].float()[None]
    _, context = sampler._scene(task, encoded, slice(0, 128), np.random.default_rng(0))
    source = Source(np.zeros((2, 128 * 1920), np.float32), None, song)
    assert torch.equal(context, task_context(parts, task, source, 1.0)[0])
    silence = sampler.silence
    heard = code_hints(*sampler.codes, song, silence) if task == "cover" else song
    assert torch.equal(context, source_context(heard, silence)[0])


def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(root, tmp_path):
    state = root / "training" / "dit.safetensors"
    events = list(train(config(root, 4), ENDLESS))
    whole = load_file(state)
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, Step))
    state.unlink()
    list(train(config(root, 2), ENDLESS))
    list(train(config(root, 4), ENDLESS))
    parts = load_file(state)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert (root / "pipeline" / "model_index.json").exists()


def test_the_clock_is_part_of_the_silence_alone(root):
    plain, timed = DitStage(config(root, 1, clock=False)), DitStage(config(root, 1))
    added = timed.sampler.silence - plain.sampler.silence
    torch.testing.assert_close(added, 0.1 * clock(15_000), rtol=0, atol=0.02)


def test_times_hold_the_turbo_steps_and_lean_to_the_noise():
    times = draw_times(4000, 0.25, torch.Generator().manual_seed(0))
    assert times.min() > 0 and times.max() == 1
    assert 0.15 < (times == 1).float().mean() < 0.22
    assert times.mean() > 0.6


def test_without_songs_it_says_what_to_do(root):
    for file in (root / "latents").glob("0*"):
        file.unlink()
    with pytest.raises(RunError, match="has no songs"):
        DitStage(config(root, 1))
