"""Every knob there is, declared once: type, default, hard limits, recommended range, one sentence.

Flags, ``--help``, documentation, validation and (later) widgets are readings of these classes;
:mod:`acestep.knobs` walks them. Hard limits (``ge``, ``le``) are only what makes sense at all.
``recommended`` is the guide's range: what a slider shows, and outside of which a verb says so.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from acestep.errors import ConfigError
from acestep.knobs import Positional, problems

TagPosition = Literal["prepend", "append", "replace"]
Device = Literal["cuda", "mps", "cpu"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Task = Literal["text2music", "cover", "repaint", "extract", "lego", "complete"]
AdapterFormat = Literal["peft", "diffusers", "comfyui", "upstream", "merged"]
TWO_LYRICS = "--lyrics and --lyrics-file: give one of the two"


def knob(
    default: Any,
    help: str,
    *,
    recommended: tuple[float, float] | None = None,
    times: str | None = None,
    unless: tuple[str, str] | None = None,
    **limits: Any,
) -> Any:
    """A config field: default, one sentence, hard limits, and the guide's range if it has one.

    ``times`` names another knob that the recommended range is a multiple of; ``unless`` names one
    and the value of it beside which the range does not hold.
    """
    extra: Any = {"recommended": recommended, "times": times, "unless": unless}
    return Field(default, description=help, json_schema_extra=extra, **limits)


def output(default: Any, help: str) -> Any:
    """The field that ``-o`` / ``--output`` sets."""
    return knob(default, help, validation_alias=AliasChoices("output", "o"))


class Config(BaseModel):
    """Frozen, and strict about names: a misspelt knob is an error, not a surprise.

    Raises ``ConfigError`` that lists everything that is wrong with the values.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            refused = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
            wrong = problems(type(self), values, error)
            raise ConfigError(wrong + self._disagree_beside(values, refused)) from error
        if wrong := self.disagreements():
            raise ConfigError(wrong)

    def disagreements(self) -> list[str]:
        """Which knobs do not go together, a sentence each."""
        return []

    @classmethod
    def _disagree_beside(cls, values: dict[str, Any], refused: set[str]) -> list[str]:
        """Disagreements among the values that are right by themselves."""
        fine = {name: value for name, value in values.items() if name not in refused}
        for name, field in cls.model_fields.items():
            if field.is_required():
                fine.setdefault(name, "-")
        rest = cls.__new__(cls)
        BaseModel.__init__(rest, **fine)
        flags = [f"--{name.replace('_', '-')} " for name in refused]
        return [text for text in rest.disagreements() if not any(flag in text for flag in flags)]

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """One word is a list of one, metre 4 is "4"; nobody means this folder by an empty path."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if value == "" and kind in (Path, Path | None):
            raise ValueError("empty")
        is_list = kind in (list[str], list[Path], list[float])
        if is_list and isinstance(value, str | Path | int | float):
            return [value]
        is_metre = info.field_name == "timesignature" and type(value) is int
        return str(value) if is_metre else value


class ScanConfig(Config):
    """Find songs and their sidecars in a folder and write a dataset file."""

    songs: Positional[Path] = knob(..., "Folder with songs (searched with its sub-folders).")
    output: Path = output(
        Path("dataset.json"), "Dataset file to write; labels already in it are kept."
    )
    name: str | None = knob(None, "Dataset name (default: the folder's name).")
    tag: str | None = knob(
        None, "Activation tag: short, lower case, no ordinary word (myjazz, xmas24)."
    )
    tag_position: TagPosition | None = knob(
        None,
        "Where the tag goes: before the caption, behind it, or instead of it (default: prepend).",
    )
    all_instrumental: bool = knob(False, "Songs without lyrics are instrumental.")


class LabelConfig(Config):
    """Fill in what is missing from sidecar files and embedded tags, or show a song's exact text."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    show: str | None = knob(
        None, "Print exactly what the encoder sees for this song (number, id or file name)."
    )
    model: str | None = knob(None, "Base model whose tokenizer --show uses (default: mini).")
    skip_metas: bool = knob(False, "Leave tempo, key and time signature alone (N/A).")
    only_unlabelled: bool = knob(False, "Only songs that have no caption yet.")
    overwrite: bool = knob(False, "Also replace labels that a person wrote.")


class EditConfig(Config):
    """Change one song's labels by hand, or the dataset's settings when no song is named."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    song: Positional[str] = knob("", "The song: its number (from 1), id or file name.")
    caption: str | None = knob(None, "Style, instruments, mood; without the tag.")
    genre: str | None = knob(None, "Genre.")
    lyrics: str | None = knob(None, 'Lyrics; "[Instrumental]" for none.')
    lyrics_file: Path | None = knob(None, "Text file with the lyrics.")
    bpm: int | None = knob(None, "Beats per minute.", ge=1, le=999, recommended=(30, 300))
    keyscale: str | None = knob(None, 'Key, for example "Bb Major" or "Am".')
    timesignature: str | None = knob(None, "Time signature: 4, 3/4, 6/8 …")
    language: str | None = knob(None, 'Vocal language code (en, ko, …) or "unknown".')
    instrumental: bool | None = knob(None, "Whether the song has no vocals.")
    name: str | None = knob(None, "Dataset name.")
    tag: str | None = knob(None, 'Activation tag; "" removes it.')
    tag_position: TagPosition | None = knob(None, "Where the tag goes.")
    save_as: Path | None = knob(None, "Write to this file instead.")
    format: Literal["guide", "original", "list"] | None = knob(
        None,
        "Layout of the saved file: the guide's or one of the original's (default: as it was).",
    )

    def disagreements(self) -> list[str]:
        """Lyrics come from one place."""
        twice = self.lyrics is not None and self.lyrics_file is not None
        return [TWO_LYRICS] if twice else []


class PreprocessConfig(Config):
    """Encode labelled songs once: latents, text states and context, one tensor file a song."""

    dataset: Positional[Path] = knob(..., "Dataset file.")
    output: Path = output(Path("tensors"), "Folder for the tensor files and their manifest.")
    model: str | None = knob(
        None,
        "Base model: name, folder or Hub id (default: the one the folder was made with, or mini).",
    )
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob("auto", "Precision of the text and condition encoders.")
    max_seconds: float = knob(240.0, "Longest part of a song that is used, seconds.", gt=0)
    segment_seconds: float | None = knob(
        None, "Cut songs into segments of this length, each with its own duration.", gt=0
    )
    tile_seconds: float = knob(
        30.0, "Audio encoded at a time, seconds; less takes less memory.", ge=5, le=600
    )
    chunk_mask: float = knob(1.0, "Value of the chunk mask in the context (newer originals: 2.0).")
    seed: int = knob(42, "Seed of the sampled latents.", ge=0, lt=2**63)
    offload: bool = knob(
        False, "Text and condition encoder take turns on the device (the VAE is always alone)."
    )


class TrainConfig(Config):
    """Train an adapter on preprocessed tensors."""

    tensors: Positional[Path] = knob(..., "Folder that preprocess wrote.")
    output: Path = output(Path("runs/adapter"), "Run folder: config, events, checkpoints.")
    model: str | None = knob(None, "Base model (default: the one the tensors were made with).")
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob(
        "auto", "Precision of the frozen base; the adapter is always float32."
    )

    adapter: Literal["lora", "dora", "rslora"] = knob("lora", "Kind of adapter.")
    rank: int = knob(
        64, "Capacity: 32 subtle, 64 balanced, 128 complex.", ge=1, recommended=(8, 256)
    )
    alpha: float = knob(
        128.0,
        "Scaling is alpha / rank; not given, it is 2 × rank.",
        gt=0,
        recommended=(1, 4),
        times="rank",
    )
    dropout: float = knob(0.1, "Against overfitting.", ge=0, lt=1, recommended=(0.0, 0.5))
    targets: str = knob(
        "attention",
        "What is adapted: attention, attention+mlp, self, cross, or a pattern of module names.",
    )

    learning_rate: float = knob(
        1e-4,
        "Step size; too high is unstable.",
        gt=0,
        recommended=(1e-5, 1e-3),
        unless=("optimizer", "prodigy"),
    )
    epochs: int = knob(
        500, "Passes over the songs; 500 fits 8 songs.", ge=1, recommended=(100, 2000)
    )
    batch_size: int = knob(1, "Songs per micro-step.", ge=1, recommended=(1, 4))
    gradient_accumulation: int = knob(
        1,
        "Micro-steps per optimizer step; effective batch = batch × accumulation × processes.",
        ge=1,
        recommended=(1, 8),
    )
    save_every: int = knob(200, "Epochs between checkpoints.", ge=1, recommended=(50, 500))
    shift: float | None = knob(
        None,
        "Timestep shift (default: 3.0 for turbo, 1.0 for base and sft).",
        gt=0,
        recommended=(1.0, 5.0),
    )
    seed: int = knob(42, "Same seed, same adapter.", ge=0, lt=2**63)

    timesteps: Literal["auto", "turbo", "continuous"] = knob(
        "auto",
        "turbo: eight discrete steps; continuous: larger of two logit-normals; auto: by model.",
    )
    condition_dropout: float | None = knob(
        None,
        "Share of samples that train without text (default: 0.15 for base and sft, 0 for turbo).",
        ge=0,
        le=1,
    )
    optimizer: Literal["adamw", "adamw8bit", "prodigy"] = knob(
        "adamw", "Optimizer; with prodigy the learning rate is 1 unless given."
    )
    weight_decay: float = knob(0.01, "Pull of the adapter's weights toward zero.", ge=0)
    schedule: Literal["constant", "cosine", "linear"] = knob(
        "cosine", "Learning rate after the warm-up."
    )
    warmup_steps: int | None = knob(
        None, "Steps of rising learning rate (default: a tenth, at most 100).", ge=0
    )
    max_grad_norm: float = knob(1.0, "Gradients are clipped to this norm.", gt=0)
    gradient_checkpointing: Literal["auto", "on", "off"] = knob(
        "auto", "Recompute activations to save memory; auto: only where memory needs it."
    )

    validation: float = knob(
        0.1,
        "Share of songs held out (with under ten songs: the last tenth of each); 0 for none.",
        ge=0,
        lt=1,
    )
    validate_every: int = knob(10, "Epochs between evaluations.", ge=1)
    patience: int = knob(
        0, "Stop after this many evaluations without a better held-out loss; 0: never.", ge=0
    )

    resume: bool = knob(False, "Go on from the newest complete checkpoint in the run folder.")
    accept_foreign: bool = knob(
        False, "Also train on tensors of the original program (padded, other text)."
    )

    @model_validator(mode="after")
    def _follow(self) -> "TrainConfig":
        """Two defaults follow another knob: alpha the rank, the learning rate prodigy.

        They stay out of ``model_fields_set``, so that resuming knows them as not given.
        """
        if "alpha" not in self.model_fields_set:
            self.__dict__["alpha"] = 2.0 * self.rank
        if "learning_rate" not in self.model_fields_set and self.optimizer == "prodigy":
            self.__dict__["learning_rate"] = 1.0
        return self


class ExportConfig(Config):
    """Write a run's adapter in the form another program reads."""

    run: Positional[Path] = knob(..., "Run folder, checkpoint, or any adapter folder or file.")
    output: Path = output(Path("my_lora"), "Folder to write.")
    checkpoint: str | None = knob(
        None, "Checkpoint to export, for example epoch_400 (default: the newest)."
    )
    format: AdapterFormat = knob(
        "peft",
        "peft folder, diffusers or comfyui file, upstream names, or merged: a whole transformer.",
    )
    bin: bool = knob(False, "Write adapter_model.bin instead of safetensors (peft and upstream).")
    model: str | None = knob(None, "Base model, where it is not known and is needed (merged).")

    def disagreements(self) -> list[str]:
        """Only the layouts that PEFT reads have a ``.bin`` form; only merging needs a base."""
        problems = []
        if self.bin and self.format not in ("peft", "upstream"):
            problems.append(f"--bin --format {self.format}: only peft and upstream have a .bin")
        if self.model is not None and self.format != "merged":
            problems.append(f"--model {self.model} --format {self.format}: only merged needs one")
        return problems


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


class ModelsConfig(Config):
    """List the base models that are known and those that are present."""


class DoctorConfig(Config):
    """Check the installation: versions, device, memory, models, audio formats."""


COMMANDS: dict[str, type[Config]] = {
    "scan": ScanConfig,
    "label": LabelConfig,
    "edit": EditConfig,
    "preprocess": PreprocessConfig,
    "train": TrainConfig,
    "export": ExportConfig,
    "generate": GenerateConfig,
    "models": ModelsConfig,
    "doctor": DoctorConfig,
}
