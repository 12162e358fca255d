"""What an adapter says about itself: a record in its file's header, and a page to read."""

import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from acestep.adapters.adapter import Adapter
from acestep.adapters.tensorfiles import parse_json

HEADER_KEY = "acestep_card"
_ROWS = {
    "base_model": "Base model",
    "base_variant": "Variant",
    "base_fingerprint": "Fingerprint of the base",
    "kind": "Kind",
    "rank": "Rank",
    "alpha": "Alpha",
    "modules": "Adapted layers",
    "parameters": "Parameters",
    "songs": "Songs",
    "epoch": "Epochs",
    "step": "Steps",
    "learning_rate": "Learning rate",
    "timesteps": "Times",
    "shift": "Shift",
    "seed": "Seed",
    "loss": "Training loss",
    "held_out_loss": "Held-out loss",
    "base_held_out_loss": "Held-out loss of the base",
    "version": "Made with acestep-studio",
}


def header(card: Mapping[str, Any]) -> dict[str, str]:
    """The card as an entry of a safetensors header."""
    return {HEADER_KEY: json.dumps(card, ensure_ascii=False, sort_keys=True)}


def read_card(entries: Mapping[str, str], where: Path) -> dict[str, Any]:
    """The card in a header; empty if there is none. Entries of the wrong type are left out."""
    if HEADER_KEY not in entries:
        return {}
    card = parse_json(entries[HEADER_KEY], where)
    return check_card(card)


def check_card(card: Any) -> dict[str, Any]:
    """A card from an unknown hand: what should be text or a table and is not is left out, a base
    model's name is a name, and its folder is on this machine."""
    if not isinstance(card, dict):
        return {}
    wanted = {"base_model": str, "base_path": str, "base_fingerprint": str, "dataset": dict}
    checked = {
        key: value
        for key, value in card.items()
        if key not in wanted or isinstance(value, wanted[key])
    }
    if "base_model" in checked:
        checked["base_model"] = plain_name(checked["base_model"])
    if checked.get("base_path", "").startswith(("//", "\\\\")):
        del checked["base_path"]
    return checked


def shareable(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card without paths of this machine, for an adapter that may be given away."""
    kept = {key: value for key, value in card.items() if key != "base_path"}
    if isinstance(kept.get("dataset"), dict):
        kept["dataset"] = {key: value for key, value in kept["dataset"].items() if key != "path"}
    return kept


def plain_name(name: str) -> str:
    """A model's name or Hub id; of a path its last part, so that no file has a path opened."""
    if re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        return name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1].lstrip(".")


def page(adapter: Adapter) -> str:
    """``README.md`` for an adapter's folder."""
    dataset = adapter.card.get("dataset", {})
    tag = dataset.get("tag") or dataset.get("activation_tag")
    ranks = {adapter.rank(module) for module in adapter.modules}
    facts = {
        "version": version("acestep-studio"),
        **{key: value for key, value in adapter.card.items() if key not in ("rank", "alpha")},
        "kind": adapter.kind,
        "rank": ", ".join(map(str, sorted(ranks))),
        "alpha": ", ".join(f"{alpha:g}" for alpha in sorted(set(adapter.alphas.values()))),
        "modules": len(adapter.modules),
        "parameters": sum(tensor.numel() for tensor in adapter.weights.values()),
    }
    if "songs" in dataset:
        facts.setdefault("songs", dataset["songs"])
    rows = [
        f"| {label} | {_cell(facts[key])} |"
        for key, label in _ROWS.items()
        if facts.get(key) is not None
    ]
    lines = [
        "---",
        "library_name: peft",
        "tags: [ace-step, lora, text-to-audio]",
        "---",
        "",
        f"# {_cell(dataset.get('name') or tag or 'Adapter')}",
        "",
        f"A {adapter.kind} adapter for the ACE-Step 1.5 music model.",
    ]
    if tag:
        lines += ["", f"Put its tag into the caption: `{_cell(tag)}`."]
    lines += ["", "| | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """One line of text that is safe inside a table."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
