from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from acestep.errors import AudioError, LabelError
from acestep.labellers.audio_codes import audio_codes, latent_codes
from acestep.model.find import find_model
from acestep.model.parts import Parts

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def mini():
    return Parts(find_model("mini"), torch.device("cpu"), torch.float32)


def test_codes_are_those_of_the_original():
    folder = str(GOLDEN / "upstream_tiny" / "acestep-v15-turbo")
    parts = Parts(find_model(folder), torch.device("cpu"), torch.float32)
    golden = load_file(GOLDEN / "tokenizer.safetensors")
    for case in ("pad", "exact"):
        pairs = zip(golden[f"{case}.latents"], golden[f"{case}.indices"], strict=True)
        for latents, indices in pairs:
            assert latent_codes(parts, latents[None]) == indices.flatten().tolist()


def test_a_song_has_five_codes_a_second_and_a_seed_decides(mini):
    time = np.arange(48_000 * 2) / 48_000
    tone = (0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    audio = np.stack([tone, tone])
    codes = audio_codes(mini, audio, 1)
    assert len(codes) == 10 and all(0 <= code < 64_000 for code in codes)
    assert audio_codes(mini, audio, 1) == codes
    assert audio_codes(mini, audio * 100, 1) == audio_codes(mini, np.clip(audio * 100, -1, 1), 1)
    assert len(audio_codes(mini, audio[:, : 48_000 + 1920], 1)) == 6  # 26 frames


@pytest.mark.parametrize("audio", [np.zeros((2, 48_000)), np.zeros((2, 0)), np.full((2, 9), 1e-7)])
def test_silence_has_no_codes(mini, audio):
    with pytest.raises(LabelError, match="silent"):
        audio_codes(mini, audio.astype(np.float32), 0)


def test_audio_that_is_none(mini):
    with pytest.raises(LabelError, match="no numbers"):
        audio_codes(mini, np.full((2, 48_000), np.nan, np.float32), 0)
    with pytest.raises(AudioError, match="too short"):
        audio_codes(mini, np.ones((2, 1), np.float32), 0)
