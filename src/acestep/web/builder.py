"""What the Dataset Builder shows and saves: the answers to its buttons.

Each reads the dataset's file anew: what another window or a labelling job wrote is seen.
"""

from html import escape
from typing import Any

import gradio as gr

from acestep.checking.lights import dataset_lights
from acestep.data.labels import tag_problems
from acestep.data.song import Dataset, Song, load_dataset
from acestep.edit import edit
from acestep.errors import AceStepError
from acestep.events import Notice, Text
from acestep.label import label
from acestep.web.drafts import Drafts
from acestep.web.orders import config_for
from acestep.web.safety import problem_html
from acestep.web.songs import COLUMNS, FIELDS, audio_of, changes, fields_of, rows, tag_example
from acestep.web.words import say
from acestep.web.workspace import Workspace


def open_dataset(workspace: Workspace, file: str, language: str) -> list[Any]:
    """Table, slider and sentence for a dataset file."""
    try:
        path = workspace.path(file)
        dataset = load_dataset(path)
    except AceStepError as error:
        return [gr.skip(), gr.skip(), problem_html(error)]
    drafts = Drafts(workspace, path).all()
    headers = [say(language, f"dataset.column.{name}") for name in COLUMNS]
    table = {"headers": headers, "data": rows(dataset, drafts, language)}
    count = len(dataset.songs)
    words = say(language, "dataset.loaded", count=count, path=workspace.shown(path))
    slider = gr.Slider(maximum=max(count, 2))
    return [table, slider, f'<div class="good">{escape(words)}</div>']


def show_song(workspace: Workspace, file: str, number: int, language: str) -> list[Any]:
    """The fields of a song, whether something typed is not saved, and its id."""
    dataset, song = find_song(workspace, file, number)
    if dataset is None or song is None:
        return [gr.skip()] * (len(FIELDS) + 2)
    draft = Drafts(workspace, workspace.path(file)).of(song.id)
    fields = fields_of(song, draft)
    notice = ""
    if draft:
        notice = say(language, "dataset.unsaved", fields=", ".join(draft))
    elif audio_of(dataset, song) is None:
        notice = say(language, "dataset.missing", path=song.audio_path)
    html = f'<div class="quiet">{escape(notice)}</div>' if notice else ""
    return [*(fields[name] for name in FIELDS), html, song.id]


def song_sound(workspace: Workspace, file: str, number: int) -> str | None:
    """A song's file for the player, if it is there and the studio may read it."""
    dataset, song = find_song(workspace, file, number)
    audio = audio_of(dataset, song) if dataset and song else None
    if audio is None:
        return None
    try:
        return str(workspace.path(str(audio)))
    except AceStepError:
        return None


def save_song(
    workspace: Workspace, file: str, which: int | str, typed: dict[str, Any], language: str
) -> list[Any]:
    """Save the fields that were changed through ``acestep edit``; the draft is done with then."""
    try:
        song = load_dataset(workspace.path(file)).find(str(which))
        values = changes(song, typed)
        if "lyrics" in values:
            values["lyrics"] = values["lyrics"] or "[Instrumental]"
        problem = change(workspace, file, {"song": song.id, **values}) if values else ""
        if problem:
            return [gr.skip(), problem]
        Drafts(workspace, workspace.path(file)).forget(song.id)
    except AceStepError as error:
        return [gr.skip(), problem_html(error)]
    table, _, _ = open_dataset(workspace, file, language)
    words = say(language, "dataset.saved", song=song.filename)
    return [table, f'<div class="good">{escape(words)}</div>']


def keep_typed(workspace: Workspace, file: str, which: str, typed: dict[str, Any] | None) -> str:
    """Put what is typed for a song on disk, or give it up (``None``); what went wrong, if anything.

    A form that shows no song yet has nothing to keep.
    """
    _, song = find_song(workspace, file, which)
    if song is None:
        return ""
    try:
        Drafts(workspace, workspace.path(file)).keep(song.id, changes(song, typed or {}))
    except AceStepError as error:
        return problem_html(error)
    return ""


def encoder_text(workspace: Workspace, file: str, which: int | str) -> str:
    """Exactly what the encoder is given for a song, with what was cut."""
    dataset, song = find_song(workspace, file, which)
    if dataset is None or song is None:
        return ""
    try:
        config = config_for(workspace, "label", {"dataset": file, "show": song.id})
        events = list(label(config))
    except AceStepError as error:
        return str(error)
    notes = [event.message for event in events if isinstance(event, Notice)]
    return "\n".join([*notes, *(event.text for event in events if isinstance(event, Text))])


def tag_html(workspace: Workspace, tag: str, position: str, file: str, language: str) -> str:
    """What the guide says of a tag, and a caption with it."""
    problems = list(tag_problems(tag).values())
    if not tag.strip():
        problems = [say(language, "dataset.tag.none")]
    _, song = find_song(workspace, file, 1)
    caption = tag_example(tag, position, song.caption if song else "piano ballad")
    example = say(language, "dataset.example", caption=caption)
    lines = problems or [say(language, "dataset.tag.good")]
    kind = "problem" if problems else "good"
    said = "<br>".join(escape(line) for line in [*lines, example])
    return f'<div class="{kind}" aria-live="polite">{said}</div>'


def lights_html(workspace: Workspace, file: str, language: str) -> str:
    """A row a line of the guide's table: its light, what was found, what it means."""
    try:
        lights = dataset_lights(load_dataset(workspace.path(file)))
    except AceStepError as error:
        return problem_html(error)
    lines = [
        f'<div class="light"><span class="dot {light.colour}" role="img" '
        f'aria-label="{escape(say(language, "light." + light.colour))}"></span>'
        f"<span><strong>{escape(light.item)}</strong> {escape(light.found)}. "
        f"{escape(light.words)}</span></div>"
        for light in lights
    ]
    return f'<div class="lights">{"".join(lines)}</div>'


def find_song(
    workspace: Workspace, file: str, which: int | str | None = None
) -> tuple[Dataset | None, Song | None]:
    """A dataset and its song of that number (from 1), id or name, as far as they are there."""
    try:
        dataset = load_dataset(workspace.path(file))
    except AceStepError:
        return None, None
    try:
        return dataset, None if which is None else dataset.find(str(which))
    except AceStepError:
        return dataset, None


def change(workspace: Workspace, file: str, values: dict[str, Any]) -> str:
    """Change a dataset as ``acestep edit`` does; what went wrong, if anything."""
    try:
        given = {name: value for name, value in values.items() if value is not None}
        list(edit(config_for(workspace, "edit", {"dataset": file, **given})))
    except AceStepError as error:
        return problem_html(error)
    return ""
