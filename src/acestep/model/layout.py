"""A base model's folder on disk: which layout it is, whether it is complete, what identifies it.

Two layouts are read. *diffusers*: a pipeline folder with ``model_index.json`` and a sub-folder a
component. *original*: a checkpoint folder (``config.json``, ``model.safetensors`` whole or in
shards, ``silence_latent.pt``) with ``vae/`` and ``Qwen3-Embedding-0.6B/`` in a folder beside it.
Nothing here needs torch, reads a whole large file, or runs anything that comes with a model.
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from acestep.errors import ModelError
from acestep.model.convert import PREFIXES, component_config, is_xl, variant_of

TEXT_FOLDER = "Qwen3-Embedding-0.6B"
SILENCE_FILE = "silence_latent.pt"

_PARTS = ("transformer", "condition_encoder", "audio_tokenizer", "audio_token_detokenizer")
_WHOLE_FILE = 32 << 20  # bytes up to which a file is hashed whole
_SAMPLE = 4096  # bytes read at the start, middle and end of every tensor of a larger one
_MAX_HEADER = 100 << 20  # what the safetensors library itself accepts


@dataclass(frozen=True)
class BaseModel:
    """A base model that was found complete.

    ``name`` is for people and ``source`` finds it again (:func:`acestep.model.base.find_model`).
    ``fingerprint`` changes with any weight, config or tokenizer file, not with the folder's name.
    ``time_mu`` and ``time_sigma`` are the logit-normal the model was trained with;
    ``data_proportion`` is read for completeness. ``folders`` are the vae's, the text encoder's and
    the tokenizer's.
    """

    name: str
    path: Path
    layout: Literal["diffusers", "original"]
    variant: Literal["turbo", "base", "sft"]
    is_xl: bool
    fingerprint: str
    time_mu: float
    time_sigma: float
    data_proportion: float
    source: str
    vae_folder: Path
    text_folder: Path
    tokenizer_folder: Path

    def folder(self, component: str) -> Path:
        """The folder that holds a component's files."""
        match component:
            case "vae":
                return self.vae_folder
            case "text_encoder":
                return self.text_folder
            case "tokenizer":
                return self.tokenizer_folder
            case _:
                return self.path / component if self.layout == "diffusers" else self.path

    def config(self, component: str) -> dict[str, Any]:
        """A component's config as its diffusers (or transformers) class takes it."""
        config = read_config(self.folder(component) / "config.json")
        if self.layout == "original" and component in PREFIXES:
            return component_config(config, component)
        return config

    def weights(self, component: str) -> list[Path]:
        """The safetensors files in which a component's tensors are."""
        return weight_files(self.folder(component), _stem(self.layout, component))

    @property
    def has_audio_tokenizer(self) -> bool:
        """Whether covers can be made: a diffusers folder may come without the audio tokenizer."""
        return self.layout == "original" or (self.path / "audio_tokenizer").is_dir()


def read_model(
    path: Path, *, name: str, source: str, companions: Sequence[Path] = ()
) -> BaseModel:
    """Read and check a model's folder.

    ``companions`` are further folders in which an original checkpoint's ``vae/`` and
    ``Qwen3-Embedding-0.6B/`` may be, after the one that holds the checkpoint. Raises
    :class:`ModelError` naming the file that is missing, truncated or of another kind of model.
    """
    layout = layout_of(path)
    if layout == "diffusers":
        config = read_config(path / "transformer" / "config.json")
        vae, text, tokenizer = (path / part for part in ("vae", "text_encoder", "tokenizer"))
    else:
        config = read_config(path / "config.json")
        places = [path.parent, *companions]
        vae, text = (_beside(path, part, places) for part in ("vae", TEXT_FOLDER))
        tokenizer = text
    model = BaseModel(
        name=name,
        path=path,
        layout=layout,
        variant=variant_of(config, path.name),
        is_xl=is_xl(config),
        fingerprint="",
        time_mu=float(config.get("timestep_mu", -0.4)),
        time_sigma=float(config.get("timestep_sigma", 1.0)),
        data_proportion=float(config.get("data_proportion", 0.5)),
        source=source,
        vae_folder=vae,
        text_folder=text,
        tokenizer_folder=tokenizer,
    )
    files = model_files(model)
    _check_fit(model)
    return BaseModel(**{**vars(model), "fingerprint": _fingerprint(files)})


def layout_of(path: Path) -> Literal["diffusers", "original"]:
    """The layout of a model folder; raises :class:`ModelError` where it is neither."""
    if (path / "model_index.json").is_file():
        kind = read_config(path / "model_index.json").get("_class_name")
        if kind != "AceStepPipeline":
            raise ModelError(
                f"{path} holds a {kind}, not an AceStepPipeline",
                hint="Name an ACE-Step 1.5 model; 'acestep models' lists those that are known.",
            )
        return "diffusers"
    if (path / "config.json").is_file():
        config = read_config(path / "config.json")
        if config.get("_class_name") == "AceStepTransformer1DModel":
            raise ModelError(
                f"{path} holds a transformer, which is one part of a model",
                hint="Put it in the place of transformer/ in a diffusers folder, and name that.",
            )
        if config.get("model_type") != "acestep":
            raise ModelError(
                f"{path / 'config.json'} is of a {config.get('model_type')!r} model, not acestep",
                hint="Name the checkpoint's own folder, for example checkpoints/acestep-v15-turbo.",
            )
        return "original"
    inside = sorted(child.parent.name for child in path.glob("acestep-v15-*/config.json"))
    hint = "A model folder has model_index.json (diffusers) or config.json (original checkpoint)."
    if inside:
        hint = f"Name a checkpoint in it: {', '.join(str(path / name) for name in inside)}"
    raise ModelError(f"{path} is not a model folder: no model_index.json or config.json", hint=hint)


def is_model(path: Path) -> bool:
    """Whether a folder is one of the two layouts, complete or not."""
    try:
        layout_of(path)
    except ModelError:
        return False
    return True


def model_files(model: BaseModel) -> list[Path]:
    """Every file the model consists of, each one checked to be there and whole.

    Raises :class:`ModelError` naming the first that is not.
    """
    components = ["transformer"]
    if model.layout == "diffusers":
        optional = [part for part in _PARTS[2:] if model.has_audio_tokenizer]
        components += ["condition_encoder", *optional]
    components += ["vae", "text_encoder"]
    files = []
    for component in components:
        files.append(_present(model.folder(component) / "config.json"))
        files += model.weights(component)
    files.append(_present(model.tokenizer_folder / "tokenizer.json"))
    if model.layout == "original":
        files.append(_present(model.path / SILENCE_FILE))
    for file in files:
        if file.suffix == ".safetensors":
            read_header(file)
    return files


def weight_files(folder: Path, stem: str) -> list[Path]:
    """``<stem>.safetensors``, or the shards that ``<stem>.safetensors.index.json`` names.

    Raises :class:`ModelError` naming the file or shard that is missing.
    """
    single = folder / f"{stem}.safetensors"
    index = folder / f"{stem}.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return [_present(single)]
    table = read_config(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise ModelError(f"{index} names no shards", hint="Download it again.")
    names = sorted({str(name) for name in table.values()})
    for name in names:
        if Path(name).name != name:  # a shard lies beside its index, never elsewhere
            raise ModelError(f"{index} names a shard outside its folder: {name!r}")
    return [_present(folder / name) for name in names]


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's table of tensors, and where its data begins (bytes).

    Raises :class:`ModelError` where the file is not safetensors or is shorter than its table says.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
        text = stream.read(length) if length <= min(_MAX_HEADER, size) else b""
    try:
        header = json.loads(text)
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ModelError(f"{file} is not a safetensors file", hint="Download it again.") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelError(
            f"{file} is truncated or damaged: {size:,} bytes of {expected:,}",
            hint="Download it again.",
        )
    return header, 8 + length


def read_config(file: Path) -> dict[str, Any]:
    """A JSON object from a model folder; raises :class:`ModelError` naming the file otherwise."""
    try:
        config = json.loads(_present(file).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{file} cannot be read: {error}", hint="Download it again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file} is not a JSON object", hint="Download it again.")
    return config


def _stem(layout: str, component: str) -> str:
    if component == "text_encoder" or (layout == "original" and component in PREFIXES):
        return "model"
    return "diffusion_pytorch_model"


def _beside(path: Path, part: str, places: Sequence[Path]) -> Path:
    for place in places:
        if (place / part).is_dir():
            return place / part
    looked = ", ".join(str(place / part) for place in places)
    raise ModelError(
        f"{path} is incomplete: there is no {part}/ (looked for {looked})",
        hint=f"Put the folder {part}/ of ACE-Step/Ace-Step1.5 beside {path.name}/.",
    )


def _present(file: Path) -> Path:
    if not file.is_file():
        raise ModelError(f"{file} is missing", hint="Download it, or name another model.")
    return file


def _check_fit(model: BaseModel) -> None:
    """Refuse parts that do not belong together, and VAEs whose tiles would not be exact."""
    transformer, condition = model.config("transformer"), model.config("condition_encoder")
    vae, text = model.config("vae"), model.config("text_encoder")
    width = transformer.get("encoder_hidden_size") or transformer.get("hidden_size")
    pairs = (
        ("latent channels", "transformer", transformer.get("audio_acoustic_hidden_dim"),
         "vae", vae.get("decoder_input_channels")),
        ("text width", "condition encoder", condition.get("text_hidden_dim"),
         "text encoder", text.get("hidden_size")),
        ("condition width", "transformer", width,
         "condition encoder", condition.get("hidden_size")),
    )  # fmt: skip
    for what, one, ours, other, theirs in pairs:
        if ours != theirs:
            raise ModelError(
                f"{model.path}: {what} of the {one} is {ours} and of the {other} {theirs}",
                hint="The parts are of different models; download the model again.",
            )
    ratios = vae.get("downsampling_ratios") or []
    if vae.get("sampling_rate") != 48000 or not ratios or any(ratio % 2 for ratio in ratios):
        raise ModelError(
            f"{model.vae_folder}: needs a 48 kHz VAE with even strides, has "
            f"{vae.get('sampling_rate')} Hz and {ratios}"
        )


def _fingerprint(files: Sequence[Path]) -> str:
    """One hash over all files: small ones whole, large ones by table and samples of tensors."""
    total = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        total.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            if size <= _WHOLE_FILE or file.suffix != ".safetensors":
                total.update(hashlib.file_digest(stream, "sha256").digest())
                continue
            header, start = read_header(file)
            total.update(stream.read(start))
            for key in sorted(key for key in header if key != "__metadata__"):
                low, high = header[key]["data_offsets"]
                for at in (low, (low + high) // 2, max(low, high - _SAMPLE)):
                    stream.seek(start + at)
                    total.update(stream.read(min(_SAMPLE, high - at)))
    return total.hexdigest()
