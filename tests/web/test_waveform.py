"""What a waveform shows of a file."""

import numpy as np
import pytest

from acestep.data.audio import write_audio
from acestep.errors import AudioError
from acestep.web.waveform import BARS, empty, outline


def test_peaks_and_window(tmp_path):
    audio = np.zeros((2, 4 * 48000), np.float32)
    audio[0, 2 * 48000 :] = 0.5
    audio[1, 3 * 48000 :] = -0.25
    write_audio(tmp_path / "a.wav", audio, 48000)
    shown = outline(tmp_path / "a.wav", 1.0, 3.0)
    assert shown["seconds"] == 4 and (shown["start"], shown["end"]) == (0.25, 0.75)
    assert len(shown["peaks"]) == BARS
    assert max(shown["peaks"][: BARS // 2 - 1]) == 0 and min(shown["peaks"][BARS // 2 :]) == 1
    whole = outline(tmp_path / "a.wav")
    assert (whole["start"], whole["end"]) == (0, 1)
    beyond = outline(tmp_path / "a.wav", -3, 99)
    assert (beyond["start"], beyond["end"]) == (0, 1)


def test_silence_and_what_is_no_sound(tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros((2, 100), np.float32), 48000)
    assert set(outline(tmp_path / "a.wav")["peaks"]) == {0.0}
    assert empty()["peaks"] == []
    (tmp_path / "b.wav").write_text("no")
    with pytest.raises(AudioError):
        outline(tmp_path / "b.wav")
