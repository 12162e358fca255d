"""What can be set of making music."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices

from acestep.configs.base import Config, Device, Precision, Task, knob, output


class GenerateConfig(Config):
    """Make music from a caption and lyrics, with or without adapters."""

    model: str | None = knob(None, "Base model (default: the adapter's if it is here, else mini).")
    lora: list[Path] = knob([], "Adapter folder or file.")
    lora_scale: list[float] = knob([], "Strength of each adapter, in order (default 1).")
    caption: str = knob("", "Style, instruments, mood; with the adapter's tag.")
    lyrics: str = knob("[Instrumental]", "Lyrics with section marks ([Verse 1], [Chorus]).")
    lyrics_file: Path | None = knob(None, "Text file with the lyrics.")
    duration: float | None = knob(
        None, "Seconds (default: 30, or the source's length).", gt=0, le=600, recommended=(10, 240)
    )
    bpm: int | None = knob(None, "Beats per minute.", ge=1, le=999, recommended=(30, 300))
    keyscale: str | None = knob(None, 'Key, for example "Bb Major" or "Am".')
    timesignature: str | None = knob(None, "Time signature: 4, 3/4, 6/8 …")
    language: str = knob("unknown", "Vocal language code (en, ko, …).")
    seed: int = knob(42, "Same seed, same song.", ge=0, lt=2**63)
    count: int = knob(
        1,
        "Pieces to make, with seeds from --seed on; more than one: song_42.flac, song_43.flac …",
        ge=1,
        le=1000,
    )
    steps: int | None = knob(
        None, "Denoising steps (default: 8 for turbo, 50 for base and sft).", ge=1, le=1000
    )
    shift: float | None = knob(
        None,
        "Timestep shift (default: 3.0 for turbo, 1.0 for base and sft).",
        gt=0,
        recommended=(1.0, 5.0),
    )
    guidance: float | None = knob(
        None, "Guidance scale for base and sft (default 7); turbo has none.", ge=0
    )
    guidance_interval: tuple[float, float] = knob(
        (0.0, 1.0), "Guidance acts while low ≤ t ≤ high (t runs from 1 to 0)."
    )
    guidance_method: Literal["apg", "adg"] = knob(
        "apg", "Adaptive projected, or angle-based guidance."
    )
    task: Task = knob(
        "text2music", "What to do.", validation_alias=AliasChoices("task", "task_type")
    )
    src_audio: Path | None = knob(None, "Source audio for cover, repaint, extract, lego, complete.")
    reference_audio: Path | None = knob(None, "Audio whose timbre to take.")
    repainting_start: float = knob(
        0.0, "Start of the window to repaint, seconds; negative extends to the left."
    )
    repainting_end: float | None = knob(
        None, "End of the window, seconds (default: the source's end)."
    )
    cover_strength: float = knob(1.0, "Share of the steps that follow the source.", ge=0, le=1)
    cover_noise_strength: float = knob(
        0.0, "How much of the source stays under the first noise.", ge=0, lt=1
    )
    track: list[str] = knob([], "Tracks for extract, lego and complete (vocals, drums, bass …).")
    chunk_mask: float = knob(1.0, "Value of the chunk mask in the context.")
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob("auto", "Precision of the model.")
    offload: bool = knob(False, "Keep one part of the model on the device at a time.")
    output: Path = output(Path("song.flac"), "Audio file to write: .flac .wav .mp3 .ogg .opus.")
