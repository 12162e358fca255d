"""What an adapter is trained on is, bit for bit, what the pipeline then plays."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from acestep import AceStepPipeline, PreprocessConfig, preprocess
from acestep.data.audio import write_audio
from acestep.data.tensors import load_record

TINY = str(Path(__file__).parent / "golden/upstream_tiny/acestep-v15-turbo")
SECONDS = 3.7  # ends within a frame
SAMPLE = {
    "audio_path": "song.flac", "caption": "smooth jazz with saxophone", "bpm": 90,
    "keyscale": "Bb Major", "timesignature": "4/4",
}  # fmt: skip
SUNG = {"lyrics": "[Verse 1]\nla la", "language": "en", "instrumental": False}
PLAYED = {"lyrics": "[Instrumental]", "language": "unknown", "instrumental": True}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("words", [SUNG, PLAYED])
@pytest.mark.parametrize("model", ["mini", TINY])
def test_training_tensors_are_what_the_pipeline_computes(model, words, precision, tmp_path):
    time = np.arange(round(SECONDS * 48000)) / 48000
    tone = (0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    write_audio(tmp_path / "song.flac", np.stack([tone, tone]), 48000)
    dataset = {
        "dataset_name": "jazz", "activation_tag": "myjazz", "tag_position": "prepend",
        "samples": [{**SAMPLE, **words}],
    }  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps(dataset))
    common = {"device": "cpu", "precision": precision}
    config = PreprocessConfig(
        dataset=tmp_path / "dataset.json", output=tmp_path / "tensors", model=model, **common
    )
    list(preprocess(config))
    (file,) = (tmp_path / "tensors").glob("sample_*.pt")
    trained_on = load_record(file)

    pipeline = AceStepPipeline(model, **common)
    played = {}
    pipeline._parts.transformer().register_forward_pre_hook(
        lambda _module, _args, inputs: played.update(inputs), with_kwargs=True
    )
    song = pipeline.generate(
        caption="myjazz, smooth jazz with saxophone", lyrics=words["lyrics"],
        language=words["language"], bpm=90, keyscale="Bb major", timesignature="4",
        duration=SECONDS, seed=config.seed, steps=1,
    )  # fmt: skip
    assert song.prompt.caption_text == trained_on["metadata"]["caption_text"]
    assert song.prompt.lyrics_text == trained_on["metadata"]["lyrics_text"]
    for ours, theirs in (
        ("encoder_hidden_states", trained_on["encoder_hidden_states"]),
        ("context_latents", trained_on["context_latents"]),
    ):
        assert played[ours].dtype == theirs.dtype
        assert torch.equal(played[ours][0], theirs)
