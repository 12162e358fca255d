"""What can be set of the way from a dataset to an adapter: preprocess, train, export."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from acestep.configs.base import AdapterFormat, Config, Device, Precision, knob, output
from acestep.knobs import Positional

_OLD_LEVELS = {"on": "full", "off": "none"}
_PART = re.compile(r"(\d{1,6})/(\d{1,6})")
_GIGABYTES = re.compile(r"(\d+(?:\.\d+)?)\s*(?:g|gb|gib)", re.IGNORECASE)


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
    audio_precision: Literal["float32", "bfloat16"] = knob(
        "float32",
        "Precision of the audio encoder; bfloat16 is faster, and its latents are 1 % off.",
    )
    workers: int | None = knob(
        None,
        "Processes that decode audio ahead, 0 for none (default: one a free core beside a GPU).",
        ge=0,
        le=64,
    )
    chunk_mask: float = knob(1.0, "Value of the chunk mask in the context (newer originals: 2.0).")
    seed: int = knob(42, "Seed of the sampled latents.", ge=0, lt=2**63)
    offload: bool = knob(
        False, "Text and condition encoder take turns on the device (the VAE is always alone)."
    )
    part: str | None = knob(
        None, "Encode one part of the songs, such as 2/8, while other machines encode the others."
    )
    dry_run: bool = knob(False, "Only say what would be encoded, and why.")

    @property
    def place(self) -> tuple[int, int]:
        """Which part this is, from 0 on, and of how many."""
        found = _PART.fullmatch("1/1" if self.part is None else self.part)
        return (int(found[1]) - 1, int(found[2])) if found else (0, 0)

    def disagreements(self) -> list[str]:
        """A part is one of those that there are."""
        number, parts = self.place
        if 0 <= number < parts:
            return []
        return [f"--part {self.part}: must be one of several, such as 2/8 (counted from 1)"]


class TrainConfig(Config):
    """Train an adapter on preprocessed tensors."""

    tensors: Positional[Path] = knob(..., "Folder that preprocess wrote.")
    output: Path = output(Path("runs/adapter"), "Run folder: config, events, checkpoints.")
    model: str | None = knob(None, "Base model (default: the one the tensors were made with).")
    device: Device | None = knob(None, "Where to compute (default: the best there is).")
    precision: Precision = knob(
        "auto",
        "Precision of computing with the frozen base; the adapter is always float32. auto: by the "
        "device, on a CPU by what it is faster in.",
    )
    base_precision: Literal["auto", "bf16", "int8", "nf4"] = knob(
        "auto",
        "How the frozen base lies in memory: as it is computed (bf16: in bfloat16), or its linear "
        "layers in 8 or 4 bits.",
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
    group_lengths: bool = knob(
        False, "Songs of about one length in each step, so that no process waits for a longer one."
    )
    shard_base: bool = knob(
        False, "Split the frozen base over the processes (FSDP), if it does not fit one card."
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
    teach_guidance: float = knob(
        1.0,
        "Teach the adapter what guidance of this scale makes (1: the plain loss, as the original).",
        ge=1,
        recommended=(1.0, 3.0),
    )
    keep_untagged: float = knob(
        0.0,
        "How much it weighs that prompts without the tag stay as the base plays them, so that the "
        "tag switches the style (0: not asked for; 2 is a good value; a step takes twice as long).",
        ge=0,
        recommended=(0.0, 4.0),
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
    gradient_checkpointing: Literal["auto", "none", "products", "attention", "full"] = knob(
        "auto",
        "What is computed again to save memory: none; all but matrix products and attention; all "
        "but attention; full; auto: as little as fits.",
    )
    memory_limit: float | None = knob(
        None, "Memory that training may take, GB, for example 8GB (default: what is free).", gt=0
    )

    patches_at_once: int | None = knob(
        None,
        "Patches of a step's clips that go through the model together; 0: one clip at a time "
        "(default: 3000 on a GPU where memory allows, 0 on a CPU).",
        ge=0,
    )

    compile: Literal["auto", "on", "off"] = knob(
        "auto",
        "Compile the model's blocks (auto: where there is a compiler and the run is long enough to "
        "win back the time that takes).",
    )
    cuda_graphs: bool = knob(
        False, "Record a pass once for each length and play it again: less work for the CPU."
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

    preview_every: int = knob(
        0,
        "Epochs between previews, pieces to listen to; 0: none (with --preview: as --save-every).",
        ge=0,
    )
    preview: list[str] = knob(
        [],
        "Caption of a preview (default: a song's prompt, a new one with the tag and without it).",
    )
    preview_seconds: float | None = knob(
        None,
        "Length of previews (default: 30, or the songs' if they are shorter).",
        gt=0,
        le=600,
    )

    auto: bool = knob(
        False, "Choose every knob that is not given by the songs, the model and the machine."
    )
    dry_run: bool = knob(
        False, "Only say what a run will take: memory, time, disk, steps and every switch."
    )
    gpu: str | None = knob(
        None,
        "Card that --dry-run or --auto is for, by name or memory: RTX 3060 12GB, 8GB (default: "
        "this machine).",
    )
    resume: bool = knob(False, "Go on from the newest complete checkpoint in the run folder.")
    accept_foreign: bool = knob(
        False, "Also train on tensors of the original program (padded, other text)."
    )

    @field_validator("gradient_checkpointing", mode="before")
    @classmethod
    def _as_before(cls, value: Any) -> Any:
        """What the knob was told when it knew all or nothing."""
        return _OLD_LEVELS.get(value, value) if isinstance(value, str) else value

    @field_validator("memory_limit", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        """``8GB``, ``7.5 GiB``: a card's GB are GiB."""
        found = _GIGABYTES.fullmatch(value.strip()) if isinstance(value, str) else None
        return found[1] if found else value

    @model_validator(mode="after")
    def _follow(self) -> "TrainConfig":
        """Some defaults follow other knobs: alpha the rank, the learning rate prodigy, and how
        often there are previews, whose captions are given, the checkpoints.

        They stay out of ``model_fields_set``, so that resuming knows them as not given. Captions
        become text that UTF-8 can hold.
        """
        if "alpha" not in self.model_fields_set:
            self.__dict__["alpha"] = 2.0 * self.rank
        if "learning_rate" not in self.model_fields_set and self.optimizer == "prodigy":
            self.__dict__["learning_rate"] = 1.0
        self.__dict__["preview"] = [
            text.encode("utf-8", "replace").decode("utf-8") for text in self.preview
        ]
        if "preview_every" not in self.model_fields_set and self.preview:
            self.__dict__["preview_every"] = self.save_every
        return self

    def disagreements(self) -> list[str]:
        """What a base cannot be at the same time, and that nothing trains on a card elsewhere."""
        wrong = []
        if self.shard_base and self.base_precision in ("int8", "nf4"):
            wrong.append(
                f"--shard-base --base-precision {self.base_precision}: give one of the two"
            )
        if self.shard_base and self.preview_every:
            wrong.append(
                "--shard-base --preview-every: the process that makes previews has no whole base; "
                "hear checkpoints with acestep generate"
            )
        if self.keep_untagged and self.cuda_graphs:
            wrong.append(
                "--keep-untagged --cuda-graphs: a recorded pass cannot leave the adapter out; "
                "leave one of the two out"
            )
        if self.base_precision == "bf16" and self.precision not in ("auto", "bfloat16"):
            given = f"--base-precision bf16 --precision {self.precision}"
            wrong.append(f"{given}: such a base is computed in bfloat16; leave one of the two out")
        if self.gpu is not None and not (self.dry_run or self.auto):
            wrong.append(f"--gpu {self.gpu}: goes with --dry-run or --auto")
        if self.gpu is not None and self.device is not None:
            wrong.append(f"--gpu {self.gpu} --device {self.device}: give one of the two")
        return wrong


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
    license: str = knob("", "Licence that the card states, for example cc-by-4.0.")
    consent: str = knob("", 'Who agreed that it learns from the songs: "all songs are mine".')

    def disagreements(self) -> list[str]:
        """Only the layouts that PEFT reads have a ``.bin`` form; only merging needs a base."""
        problems = []
        if self.bin and self.format not in ("peft", "upstream"):
            problems.append(f"--bin --format {self.format}: only peft and upstream have a .bin")
        if self.model is not None and self.format != "merged":
            problems.append(f"--model {self.model} --format {self.format}: only merged needs one")
        return problems
