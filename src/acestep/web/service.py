"""What the Service page chose: model, device, precision, offload, adapters with their strengths.

Kept on disk below the studio's own folder, so every window and the next start see the same.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from acestep.data.files import write_json
from acestep.errors import AdapterError
from acestep.web.workspace import Workspace

FILE = "service.json"
FORMAT = 1
TILE_SECONDS = 10.0  # of a tiled encode that is asked for


@dataclass(frozen=True)
class LoadedAdapter:
    """One adapter of the list: where it lies, its strength, whether it acts."""

    path: str
    strength: float = 1.0
    on: bool = True


@dataclass(frozen=True)
class Service:
    """The choices; empty ones are the verbs' defaults."""

    model: str = "mini"
    device: str = ""
    precision: str = "auto"
    offload: bool = False
    offload_dit: bool = False
    tiled: bool = False
    use_lora: bool = True
    adapters: tuple[LoadedAdapter, ...] = ()

    def generating(self, *, adapters: bool = True) -> dict[str, Any]:
        """Values for ``generate``; without ``adapters`` the base alone."""
        acting = [one for one in self.adapters if one.on and self.use_lora and adapters]
        return {
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "offload": self.offload or self.offload_dit,
            "lora": [one.path for one in acting],
            "lora_scale": [one.strength for one in acting],
        }

    def preprocessing(self) -> dict[str, Any]:
        """Values for ``preprocess`` where its own page leaves them as they are."""
        tiles = {"tile_seconds": TILE_SECONDS} if self.tiled else {}
        return {"offload": self.offload, **tiles}

    def with_adapter(self, path: str) -> "Service":
        """The same with one more adapter. Raises ``AdapterError`` if it is loaded already."""
        if any(one.path == path for one in self.adapters):
            raise AdapterError(f"{path} is loaded already", hint="choose it in the table")
        return replace(self, adapters=(*self.adapters, LoadedAdapter(path)))

    def without(self, path: str) -> "Service":
        """The same without an adapter."""
        return replace(self, adapters=tuple(one for one in self.adapters if one.path != path))

    def changed(self, path: str, **values: Any) -> "Service":
        """The same with another strength of an adapter, or it off."""
        adapters = [replace(one, **values) if one.path == path else one for one in self.adapters]
        return replace(self, adapters=tuple(adapters))


def read_service(workspace: Workspace) -> Service:
    """The choices on disk; the defaults where there are none that can be read."""
    try:
        record = json.loads((workspace.state / FILE).read_text(encoding="utf-8"))
        adapters = tuple(LoadedAdapter(**each) for each in record.pop("adapters"))
        record.pop("format")
        return Service(**record, adapters=adapters)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Service()


def write_service(workspace: Workspace, service: Service) -> None:
    """Keep the choices."""
    workspace.state.mkdir(parents=True, exist_ok=True)
    write_json(workspace.state / FILE, {"format": FORMAT, **asdict(service)})


def adapter_rows(service: Service) -> list[list[str]]:
    """A row an adapter: tag, base, kind and rank, songs, how well, strength, acting, path."""
    from acestep.adapters.files import read_adapter
    from acestep.adapters.stack import activation_tag

    rows = []
    for one in service.adapters:
        name, acting = Path(one.path).name, "✓" if one.on and service.use_lora else "–"
        try:
            adapter = read_adapter(Path(one.path))
        except AdapterError as error:
            rows.append([name, "", "", "", "", str(error), f"{one.strength:g}", "–", one.path])
            continue
        card = adapter.card
        songs = card.get("dataset", {}).get("songs", "")
        rank = max(adapter.rank(module) for module in adapter.modules)
        base = str(card.get("base_model", "?"))
        kind = f"{adapter.kind} {rank}"
        rows.append(
            [name, activation_tag(adapter), base, kind, str(songs), how_well(card),
             f"{one.strength:g}", acting, one.path]
        )  # fmt: skip
    return rows


def how_well(card: dict[str, Any]) -> str:
    """What is known of an adapter's worth: an evaluation's headline, else its held-out loss."""
    found = card.get("measured")
    if isinstance(found, dict) and found.get("headline"):
        return str(found["headline"])
    loss, base = card.get("held_out_loss"), card.get("base_held_out_loss")
    if isinstance(loss, float) and isinstance(base, float):
        return f"held-out loss {loss:.3f} (base {base:.3f})"
    return ""


def tags_of(service: Service) -> list[str]:
    """The tags of the adapters that act."""
    from acestep.adapters.files import read_adapter
    from acestep.adapters.stack import activation_tag

    tags = []
    for one in service.adapters:
        if one.on and service.use_lora:
            try:
                tags.append(activation_tag(read_adapter(Path(one.path))))
            except AdapterError:
                continue  # the table says what is wrong with it
    return [tag for tag in tags if tag]
