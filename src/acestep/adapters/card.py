"""What an adapter says about itself: a record in its file's header, and a page to read."""

import json
import re
from collections.abc import Iterator, Mapping
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
    "minutes": "Minutes",
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
_CONTROL = ("name", "expected", "found")


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
    wanted = {
        **dict.fromkeys(("base_model", "base_path", "base_fingerprint", "license", "consent"), str),
        **dict.fromkeys(("dataset", "measured"), dict),
    }
    checked = {
        key: value
        for key, value in card.items()
        if key not in wanted or isinstance(value, wanted[key])
    }
    if not _is_measured(checked.get("measured", {})):
        del checked["measured"]
    if "base_model" in checked:
        checked["base_model"] = plain_name(checked["base_model"])
    if checked.get("base_path", "").startswith(("//", "\\\\")):
        del checked["base_path"]
    return checked


def _is_measured(found: dict[str, Any]) -> bool:
    """Whether what a card says was measured has the form of :mod:`acestep.adapters.measured`."""
    rows = (("answers", ("question", "answer", "sentence")), ("controls", _CONTROL))
    for name, keys in rows:
        table = found.get(name, [])
        if not isinstance(table, list):
            return False
        if not all(isinstance(row, dict) and row.keys() >= set(keys) for row in table):
            return False
    return True


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
    """``README.md`` for an adapter's folder: a model card as the Hub reads it."""
    return "\n".join([*_front_matter(adapter.card), *_introduction(adapter), *_facts(adapter),
                      *_measured(adapter.card), *_rights(adapter.card)])  # fmt: skip


def _front_matter(card: Mapping[str, Any]) -> Iterator[str]:
    """What the Hub sorts by: https://huggingface.co/docs/hub/model-cards#model-card-metadata"""
    yield "---"
    yield "library_name: peft"
    yield "pipeline_tag: text-to-audio"
    yield "tags: [ace-step, lora, text-to-audio]"
    base = card.get("base_model")
    if isinstance(base, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", base):
        yield f"base_model: {base}"
    said = card.get("license")
    if isinstance(said, str) and said:
        known = re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", said)
        yield f"license: {said}" if known else "license: other"
        if not known:
            yield f"license_name: {json.dumps(_cell(said), ensure_ascii=False)}"
    yield "---"


def _introduction(adapter: Adapter) -> Iterator[str]:
    dataset = adapter.card.get("dataset", {})
    tag = tag_of(adapter.card)
    yield ""
    yield f"# {_cell(dataset.get('name') or tag or 'Adapter')}"
    yield ""
    yield f"A {adapter.kind} adapter for the ACE-Step 1.5 music model."
    if tag:
        yield ""
        yield f"Put its tag into the caption: `{_cell(tag)}`."
    found = adapter.card.get("measured", {})
    if found.get("prompt"):
        yield f"For example: `{_cell(found['prompt'])}`."
    if found.get("strength") is not None:
        yield f"Recommended strength: {_cell(found['strength'])}."


def _facts(adapter: Adapter) -> Iterator[str]:
    dataset = adapter.card.get("dataset", {})
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
    if isinstance(dataset.get("seconds"), int | float):
        facts.setdefault("minutes", f"{dataset['seconds'] / 60:.1f}")
    yield from ("", "| | |", "|---|---|")
    for key, label in _ROWS.items():
        if facts.get(key) is not None:
            yield f"| {label} | {_cell(facts[key])} |"
    yield ""


def _measured(card: Mapping[str, Any]) -> Iterator[str]:
    """The evaluation's answers, and the controls without which no number means anything."""
    found = card.get("measured")
    if not found:
        return
    yield from ("## What it learned", "", _cell(found.get("headline", "")), "")
    for row in found.get("answers", []):
        yield f"- {_cell(row['question'])} **{_cell(row['answer'])}**. {_cell(row['sentence'])}"
    if found.get("controls"):
        yield from ("", "| control | expected | found |", "|---|---|---|")
        for row in found["controls"]:
            yield "| " + " | ".join(_cell(row[key]) for key in _CONTROL) + " |"
    yield from ("", f"Measured by `acestep evaluate` on {_cell(found.get('clips'))} clips.", "")


def _rights(card: Mapping[str, Any]) -> Iterator[str]:
    """Licence and consent in the words of whoever exported it; nothing is made up."""
    yield from ("## Licence and consent", "")
    yield f"Licence: {_cell(card.get('license') or 'not stated')}."
    yield ""
    yield f"Consent for the songs: {_cell(card.get('consent') or 'not stated')}."
    yield ""


def tag_of(card: Mapping[str, Any]) -> str:
    """The activation tag a card names, or nothing."""
    dataset = card.get("dataset", {})
    return str(dataset.get("tag") or dataset.get("activation_tag") or "")


def _cell(value: Any) -> str:
    """One line of text that is safe inside a table."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
