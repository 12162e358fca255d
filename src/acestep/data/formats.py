"""Dataset files key by key: the guide's layout and the two of the original program.

``guide``: ``{"dataset_name", "activation_tag", "tag_position", "samples": […]}``; captions there
carry the tag. ``original``: ``{"metadata": {…}, "samples": […]}``, captions without the tag.
``list``: the original's samples alone.

Plain functions between JSON values and dictionaries of :class:`~acestep.data.song.Song` fields.
What was loaded and not changed is written as it was found, key by key, so that re-saving loses
neither spelling ("Bb Major") nor type (``"timesignature": 4``) nor a key that we do not know.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Literal

from acestep.data.fields import FIELDS, SETTINGS, Field
from acestep.data.files import shown
from acestep.data.labels import METERS, apply_tag, has_words
from acestep.data.text import read_text
from acestep.errors import DatasetError, LabelError

VERSION = 1
Layout = Literal["guide", "original", "list", "csv", "jsonl"]
# Of labels that no person gave, a digest of the value; if it no longer fits, a person changed it.
DIGESTS = "label_digests"
# The original's keys in its order; four of them it keeps beside our fields.
_FILENAME, _RAW, _FORMATTED, _LABELED = "filename", "raw_lyrics", "formatted_lyrics", "labeled"
_ORIGINAL_KEYS = (
    ("id", "audio_path", _FILENAME, "caption", "genre", "lyrics", _RAW, _FORMATTED, "bpm")
    + ("keyscale", "timesignature", "duration", "language", "is_instrumental", "custom_tag")
    + (_LABELED, "prompt_override")
)
_BY_KEY = {key: field for field in FIELDS for key in (field.guide, field.original)}


@dataclass(frozen=True)
class Origin:
    """A sample as it was loaded: the raw JSON object, and the fields that were read from it."""

    layout: Layout
    raw: dict[str, Any]
    values: dict[str, Any]
    tag: tuple[str, str]


class WrongValue(Exception):
    """A value in a dataset file that cannot be what its key says; ``place`` is the key."""

    def __init__(self, place: str, value: Any, problem: str) -> None:
        super().__init__(f"{place}: {value!r} {problem}")
        self.place, self.value, self.problem = place, value, problem


def digest(value: Any) -> str:
    """Eight hexadecimal digits that change with a label, not with commas and spaces around it."""
    if isinstance(value, str):  # which go when a tag is put in front and taken away again
        value = value.strip().strip(" ,\t\n").strip()
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]


def read_sample(raw: dict[str, Any], layout: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a sample that are there, and its unknown keys.

    Raises ``WrongValue``.
    """
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in raw.items():
        if key == DIGESTS and isinstance(value, dict):
            continue
        field = _BY_KEY.get(key)
        if field is None:
            extra[key] = value
            continue
        own = field.guide if layout == "guide" else field.original
        if key != own and own in raw:
            continue
        try:
            values[field.name] = field.read(value)
        except ValueError as error:
            raise WrongValue(key, value, str(error)) from error
    return values, extra


def changed_by_hand(raw: dict[str, Any], values: dict[str, Any]) -> set[str]:
    """The labels whose digest in the file no longer fits their value."""
    digests = raw.get(DIGESTS)
    if not isinstance(digests, dict):
        return set()
    return {name for name, old in digests.items() if name in values and digest(values[name]) != old}


def write_sample(
    values: dict[str, Any],
    extra: dict[str, Any],
    layout: Layout,
    origin: Origin | None,
    tag: tuple[str, str],
) -> dict[str, Any]:
    """A sample as it goes to disk; ``tag`` is the song's activation tag and its position."""
    fresh = _encode(values, layout, tag)
    if layout == "guide":
        skipped = {field.guide for field in FIELDS if field.optional and not values[field.name]}
    else:
        fresh |= _original_keys(values, extra, origin)
        fresh = {key: fresh[key] for key in [*_ORIGINAL_KEYS, "title", "sources", "evidence"]}
        skipped = {key for key in ("title", "evidence") if not values[key]}
    result: dict[str, Any] = {}
    if origin and origin.layout == layout:
        for key, found in origin.raw.items():
            field = _BY_KEY.get(key)
            if field is None and key in extra:
                result[key] = fresh.get(key, extra[key])
            elif field is not None:
                own = field.guide if layout == "guide" else field.original
                result[key] = found if _kept(field, values, origin, tag) else fresh[own]
    elif origin and _kept(_BY_KEY["keyscale"], values, origin, tag):
        fresh["keyscale"] = origin.raw.get("keyscale") or ""
    for more in ({key: fresh[key] for key in fresh if key not in skipped}, extra):
        result |= {key: value for key, value in more.items() if key not in result}
    digests = {
        name: digest(values[name])
        for name, source in values["sources"].items()
        if source != "person" and name in values
    }
    return result | ({DIGESTS: digests} if digests else {})


def _kept(field: Field, values: dict[str, Any], origin: Origin, tag: tuple[str, str]) -> bool:
    """Whether a field still is what it was, so that it can be written just as it was found."""
    same = field.name in origin.values and origin.values[field.name] == values[field.name]
    return same and (field.name not in ("caption", "tag") or origin.tag == tag)


def read_settings(raw: dict[str, Any], layout: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset's fields, from a file's top level or its metadata, and the unknown keys.

    Raises ``WrongValue``, also for a version newer than this program's.
    """
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in raw.items():
        if key in SETTINGS[layout]:
            name, read = SETTINGS[layout][key]
            try:
                values[name] = read(value)
            except ValueError as error:
                place = key if layout == "guide" else f"metadata.{key}"
                raise WrongValue(place, value, str(error)) from error
        elif layout == "guide" and key == "version" and type(value) is int:
            if value > VERSION:
                raise WrongValue(key, value, f"is newer than this program's, {VERSION}: update it")
        elif key != ("samples" if layout == "guide" else "num_samples"):
            extra[key] = value
    return values, extra


def write_settings(values: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """A dataset's fields as the top level of the guide's layout, or the original's metadata."""
    if layout == "list":
        return {}
    settings = {key: values[name] for key, (name, _) in SETTINGS[layout].items()}
    if layout == "guide":
        if not settings["genre_ratio"]:
            del settings["genre_ratio"]
        return settings | {"version": VERSION}
    songs = values["songs"]
    computed = {
        "created_at": datetime.now().isoformat(),
        "num_samples": len(songs),
        "all_instrumental": bool(songs) and all(song.instrumental for song in songs),
    }
    ratio = settings.pop("genre_ratio")
    return settings | computed | {"genre_ratio": ratio}


def read_json(path: Path, hint: str) -> Any:
    """What a JSON file holds. Raises ``DatasetError``, with the line of a mistake."""
    if not path.exists():
        raise DatasetError(
            f"{shown(path)} does not exist", hint="acestep scan SONGS -o dataset.json makes one"
        )
    try:
        content = read_text(path, limit=None)
    except LabelError as error:
        raise DatasetError(str(error), hint=hint) from error
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        problem = f"{error.msg} in {place}" if content.strip() else "it is empty"
    except (RecursionError, ValueError) as error:  # nested too deep; a number of too many digits
        problem = str(error)
    raise DatasetError(f"{shown(path)} is not valid JSON: {problem}", hint=hint)


def _encode(values: dict[str, Any], layout: Layout, tag: tuple[str, str]) -> dict[str, Any]:
    """Every field as the layout has it, in its order."""
    encoded: dict[str, Any] = {}
    for field in FIELDS:
        value = values[field.name]
        match field.name:
            case "caption" if layout == "guide" and tag[1] != "replace" and value.strip():
                value = apply_tag(value, *tag)
            case "keyscale":
                value = value or ""
            case "timesignature" if layout == "guide":
                value = int(value) if value in METERS else value
            case "timesignature":
                value = value or ""
            case "duration":
                value = round(value, 3) if layout == "guide" else int(value)
            case "tag" if layout != "guide":
                value = tag[0]
            case "tag":
                value = value or ""
        encoded[field.guide if layout == "guide" else field.original] = value
    return encoded


def _original_keys(
    values: dict[str, Any], extra: dict[str, Any], origin: Origin | None
) -> dict[str, Any]:
    """What the original keeps beside our fields: as it was, unless what it follows has changed."""
    before = origin.values if origin else {}

    def follow(key: str, names: tuple[str, ...], value: Any) -> Any:
        same = all(before.get(name) == values[name] for name in names if name in before)
        return extra[key] if key in extra and same else value

    lyrics = values["lyrics"] if has_words(values["lyrics"]) else ""
    given = lyrics if values["sources"].get("lyrics") == "sidecar" else ""
    return {
        _FILENAME: follow(_FILENAME, ("audio_path",), file_name(values["audio_path"])),
        _RAW: extra.get(_RAW, given),
        _FORMATTED: follow(_FORMATTED, ("lyrics",), lyrics if "lyrics" in before else ""),
        _LABELED: follow(_LABELED, ("caption", "genre"), bool(values["caption"].strip())),
    }


def file_name(audio_path: str) -> str:
    """The last part of a path as written on any system."""
    return PurePath(audio_path.replace("\\", "/")).name
