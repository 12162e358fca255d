import base64
import io

import numpy as np
import pytest
import soundfile as sf
from check_sounds import RATE, music, write
from PIL import Image

from acestep.errors import AudioError
from acestep.judging.media import COLUMNS, ROWS, encode, media, palette, png, spectrogram_png


def decoded(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_another_library_reads_the_png():
    pixels = np.arange(12).reshape(3, 4)
    colours = np.random.default_rng(0).integers(0, 256, (12, 3))
    image = decoded(png(pixels, colours))
    assert image.size == (4, 3)
    assert np.array_equal(np.asarray(image.convert("RGB")), colours[pixels])


def test_a_tone_is_a_line_at_its_pitch():
    t = np.arange(2 * RATE) / RATE
    pixels = np.asarray(decoded(spectrogram_png(np.stack([np.sin(2 * np.pi * 1000 * t)] * 2))))
    assert pixels.shape == (ROWS, COLUMNS)
    row = ROWS - 1 - int(ROWS * np.log(1000 / 50) / np.log(16_000 / 50))
    assert (pixels.argmax(0) == row).mean() > 0.98
    assert np.delete(pixels, [row - 1, row, row + 1], 0)[:, 8:-8].max() < 3  # the rest is dark


@pytest.mark.parametrize("audio", [np.zeros((2, RATE)), np.ones((1, 100))])
def test_silence_and_the_shortest_clips_have_a_picture(audio):
    assert decoded(spectrogram_png(audio)).size == (COLUMNS, ROWS)


def test_the_ramp_grows_lighter():
    assert (np.diff(palette().astype(int).sum(1)) > 0).all()


@pytest.mark.parametrize("kbit", [48, 64, 112])
def test_the_bit_rate_is_what_was_asked(kbit):
    audio = music(4)
    content = encode(audio, kbit)
    assert len(content) * 8 / 4000 == pytest.approx(kbit, rel=0.2)
    back, rate = sf.read(io.BytesIO(content))
    assert rate == RATE and abs(len(back) - 4 * RATE) < 0.05 * RATE
    assert np.corrcoef(back[: 3 * RATE].ravel(), audio.T[: 3 * RATE].ravel())[0, 1] > 0.8


def test_a_part_of_a_file(tmp_path):
    found = media(write(tmp_path / "a.flac", music(3)), 64, start=1.0, seconds=0.5)
    assert found.seconds == pytest.approx(0.5)
    kind, _, content = found.audio.partition(";base64,")
    assert kind == "data:audio/ogg"
    back, _ = sf.read(io.BytesIO(base64.b64decode(content)))
    assert len(back) / RATE == pytest.approx(0.5, abs=0.05)
    assert found.picture.startswith("data:image/png;base64,")
    with pytest.raises(AudioError, match="no samples"):
        media(tmp_path / "a.flac", 64, start=9.0)
