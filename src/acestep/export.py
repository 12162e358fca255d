"""Write a run's adapter in the form that another program reads."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from acestep.adapters.adapter import Adapter
from acestep.adapters.card import shareable
from acestep.adapters.files import read_adapter
from acestep.adapters.layouts import write_comfyui, write_diffusers, write_peft
from acestep.adapters.locate import DIFFUSERS_FILE, choose_checkpoint, find_files, is_run
from acestep.adapters.manifest import MANIFEST, manifest_beside, read_manifest, with_adapter
from acestep.adapters.measured import measured
from acestep.adapters.merge import merge
from acestep.adapters.publish import published, write_record
from acestep.adapters.stack import other_base, own_model
from acestep.config import ExportConfig
from acestep.data.files import write_json
from acestep.errors import AdapterError, ConfigError, RunError
from acestep.events import Event, Finished, Notice, Saved, Started
from acestep.model.base import BaseModel, find_model, load_transformer

_NO_NAMES = ("adapter", "final", "checkpoints", "")  # folders that do not name what is in them
_SHARD = "5GB"
EVALUATION = "evaluation"  # where evaluate writes in a run's folder


def export(config: ExportConfig) -> Iterator[Event]:
    """Write an adapter from a run, a checkpoint, or any file that is read, as ``config.format``.

    An adapter's folder has ``adapter_config.json``, the weights, a page to read and ``card.json``;
    diffusers and ComfyUI get one file each; ``merged`` is a whole transformer for diffusers. Into a
    folder with other files only files that an export wrote are replaced.

    Raises ``ConfigError`` for knobs that disagree, ``RunError`` for a checkpoint that is not there,
    ``AdapterError`` if an adapter cannot be read or files of others are in the way, ``ModelError``
    if the base model to merge with is missing.
    """
    if config.checkpoint is not None and not is_run(config.run):
        raise ConfigError(
            [f"--checkpoint {config.checkpoint}: {config.run} is not a run's folder"],
            hint="name the run's folder, the one that has checkpoints in it",
        )
    is_folder = config.format not in ("diffusers", "comfyui")
    if is_folder and config.output.suffix == ".safetensors" and not config.output.is_dir():
        raise ConfigError(
            [f"--output {config.output}: {config.format} is a folder of files, not one file"],
            hint="name a folder, or take --format diffusers or comfyui",
        )
    try:
        yield from _export(config)
    except (OSError, SafetensorError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise RunError(
            f"cannot write to {config.output}: {reason}",
            hint="free some space, fix the permissions, or export into another folder",
        ) from error


def _export(config: ExportConfig) -> Iterator[Event]:
    source = config.run
    if config.checkpoint is not None:
        source = choose_checkpoint(source, config.checkpoint)
    adapter = read_adapter(source)
    yield Started("export", _facts(adapter, config))
    for note in adapter.notes:
        yield Notice(note)
    model = _base_model(adapter, config) if config.format == "merged" else None
    adapter = replace(adapter, card=_card(adapter, config))
    match config.format:
        case "peft" | "upstream":
            manifest, unread = _manifest_of(source)
            yield from unread
            written = _export_folder(adapter, config, manifest)
        case "diffusers" | "comfyui":
            if adapter.use_dora and config.format == "comfyui":
                yield Notice(COMFYUI_DORA)
            written = _export_file(adapter, config)
        case "merged":
            assert model is not None
            strange = other_base(adapter, model)
            if strange:
                yield Notice(strange)
            written = _export_merged(adapter, model, config.output)
    for file in written:
        yield Saved("adapter" if config.format != "merged" else "transformer", str(file))
    single = config.format in ("diffusers", "comfyui")
    yield Finished("export", str(written[0] if single else config.output))


COMFYUI_DORA = (
    "ComfyUI divides DoRA's magnitudes by the norms of the base's weights, not of the adapted ones "
    "as in training, so it plays a DoRA adapter approximately; a lora or rslora plays exactly"
)


def adapter_name(config: ExportConfig) -> str:
    """A plain file name for what is exported: the run's or adapter's own, and the checkpoint's."""
    path = config.run.expanduser().absolute()
    parts = [path.stem if path.is_file() else path.name, *reversed(path.parent.parts)]
    checkpoint = config.checkpoint or ""
    if path.parent.name == "checkpoints":
        checkpoint = parts.pop(0)
    name = next((part for part in parts if part not in _NO_NAMES), "adapter")
    full = f"{name}_{checkpoint}" if checkpoint else name
    return re.sub(r"[^\w.\- ]", "_", full).strip(". ")[:100] or "adapter"


def _card(adapter: Adapter, config: ExportConfig) -> dict[str, Any]:
    """The adapter's card without paths of this machine, with what is said and measured of it."""
    card = shareable(adapter.card)
    stated = {"license": config.license.strip(), "consent": config.consent.strip()}
    card |= {key: words for key, words in stated.items() if words}
    folder = find_files(adapter.source).weights.parent
    evaluation = folder.parent.parent / EVALUATION
    if folder.parent.name == "checkpoints" and (evaluation / "report.json").is_file():
        from acestep.judging.report import read_report

        card |= {"measured": measured(read_report(evaluation), folder.name)}
    return card


def _facts(adapter: Adapter, config: ExportConfig) -> dict[str, object]:
    return {
        "adapter": str(adapter.source),
        "kind": adapter.kind,
        "modules": len(adapter.modules),
        "rank": max(adapter.rank(module) for module in adapter.modules),
        "format": config.format,
    }


def _manifest_of(source: Path) -> tuple[dict[str, Any] | None, list[Notice]]:
    """What an adapter was made of, where that is known; one that cannot be read is said."""
    file = manifest_beside(source)
    if file is None:
        return None, []
    try:
        return read_manifest(file), []
    except AdapterError as error:
        return None, [Notice(f"the export has no {MANIFEST}: {error}")]


def _export_folder(
    adapter: Adapter, config: ExportConfig, manifest: dict[str, Any] | None
) -> list[Path]:
    with published(config.output) as folder:
        write_peft(adapter, folder, original=config.format == "upstream", pickled=config.bin)
        if manifest is not None:
            write_json(folder / MANIFEST, with_adapter(manifest, adapter))
        write_record(folder, adapter.card)
        return _names(folder, config.output)


def _export_file(adapter: Adapter, config: ExportConfig) -> list[Path]:
    """One file, called as the output says where that is a file's name."""
    is_diffusers = config.format == "diffusers"
    folder = config.output
    name = DIFFUSERS_FILE if is_diffusers else f"{adapter_name(config)}.safetensors"
    if folder.suffix == ".safetensors":
        folder, name = folder.parent, folder.name
    with published(folder) as temporary:
        if is_diffusers:
            write_diffusers(adapter, temporary)
            (temporary / DIFFUSERS_FILE).rename(temporary / name)
        else:
            write_comfyui(adapter, temporary / name)
        return _names(temporary, folder)


def _export_merged(adapter: Adapter, model: BaseModel, output: Path) -> list[Path]:
    transformer = load_transformer(model, torch.device("cpu"), _stored_dtype(model))
    merge(transformer, adapter)
    card = {**adapter.card, "merged": True, "base_model": model.name}
    with published(output) as folder:
        transformer.save_pretrained(folder, max_shard_size=_SHARD)
        write_record(folder, {**card, "base_fingerprint": model.fingerprint})
        return _names(folder, output)


def _base_model(adapter: Adapter, config: ExportConfig) -> BaseModel:
    if config.model is not None:
        return find_model(config.model)
    model = own_model(adapter)
    if model is None:
        name = adapter.card.get("base_model")
        raise ConfigError(
            [f"--model: {adapter.source} was trained on {name or 'a model it does not name'}"],
            hint="name the base model to merge it with",
        )
    return model


def _stored_dtype(model: BaseModel) -> torch.dtype:
    """The precision in which the transformer lies on disk."""
    with safe_open(model.weights("transformer")[0], framework="pt") as stored:
        return stored.get_tensor(next(iter(stored.keys()))).dtype


def _names(folder: Path, output: Path) -> list[Path]:
    return [output / name for name in sorted(file.name for file in folder.iterdir())]
