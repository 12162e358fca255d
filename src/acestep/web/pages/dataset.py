"""Dataset Builder: scan or load, settings, labels, edit song by song, save.

The dataset lies in its file, drafts of what is typed beside the studio's state: the page itself
remembers only which file and which song are looked at.
"""

import os
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from acestep.errors import AceStepError
from acestep.web.builder import (
    change,
    encoder_text,
    find_song,
    keep_typed,
    lights_html,
    open_dataset,
    save_song,
    show_song,
    song_sound,
    tag_html,
)
from acestep.web.controls import control
from acestep.web.named import named
from acestep.web.panel import Panel, job_panel
from acestep.web.songs import COLUMNS, FIELDS
from acestep.web.uploads import take_uploads
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# What is typed is kept, saved or given up one after the other, in the order in which it was asked
IN_TURN: dict[str, Any] = {"concurrency_id": "typed", "concurrency_limit": 1}
SEEN_IN_TURN: dict[str, Any] = {"concurrency_id": "seen", "concurrency_limit": 1}
SHOW_AGAIN = "String(Math.random())"  # any other text than before
FOLLOW_SECONDS = 2.0


@dataclass(frozen=True)
class Form:
    """The components that show one song, and which file and song that is.

    The song is shown whenever ``ask`` changes.

    What a save says stands apart from what a song is shown with, or a song that is shown late,
    after another window's or a job's change, would wipe it away.
    """

    path: gr.Textbox
    number: gr.Slider
    table: gr.Dataframe
    fields: dict[str, Any]
    player: gr.Audio
    notice: gr.HTML
    saved: gr.HTML
    encoder: gr.Textbox
    song: gr.Textbox
    ask: gr.Textbox

    @property
    def shown(self) -> list[Any]:
        """What changes with the song: fields, notice, whose fields they are; no sound for now.

        The number may be a step ahead of the fields: what is typed belongs to ``song``.
        """
        return [*self.fields.values(), self.notice, self.song, self.player]


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("dataset.intro"))
    gr.Markdown(t("dataset.step.songs"), elem_classes="step")
    with gr.Row(elem_classes="row"):
        songs = control("scan", "songs", value="songs", scale=2)
        path = control("scan", "output", elem_id="dataset-path", scale=2)
    files = gr.File(
        label=t("dataset.upload"), file_count="multiple", elem_id="dataset-upload", height=110
    )
    with gr.Row(elem_classes="row"):
        scan = gr.Button(t("dataset.scan"), variant="primary", elem_id="dataset-scan")
        load = gr.Button(t("dataset.load"), elem_id="dataset-load")
        check = gr.Button(t("dataset.check"), elem_id="dataset-check")
    told = gr.HTML(elem_id="dataset-told", padding=False)
    scanning = job_panel(workspace, "scan")
    settings = _settings(workspace, path, told)
    labelling = _labelling(workspace, path)
    form = _form(path)

    def upload(given: list[str] | None, folder: str, request: gr.Request) -> str:
        return take_uploads(workspace, given or [], folder, language_of(request.headers))

    def lights(file: str, request: gr.Request) -> str:
        """The dataset against the guide's table, as lights with words."""
        return lights_html(workspace, file, language_of(request.headers))

    files.upload(upload, [files, songs], told, api_visibility="private")
    check.click(lights, path, told, api_name="check_dataset")
    scanning.starts(scan, "scan", {"songs": songs, "output": path, **settings}, api_name="scan")
    _loading(workspace, form, told, settings, [load.click, scanning.ended.change])
    _showing(workspace, form)
    _editing(workspace, form)
    _following(workspace, form, labelling)
    _saving(workspace, path)


def _settings(workspace: Workspace, path: Any, told: gr.HTML) -> dict[str, Any]:
    """Name, tag and where it goes; advice on the tag and a live example as it is typed."""
    gr.Markdown(t("dataset.step.settings"), elem_classes="step")
    with gr.Row(elem_classes="row"):
        settings = {
            "name": control("scan", "name"),
            "tag": control("scan", "tag"),
            "tag_position": control("scan", "tag_position"),
            "all_instrumental": control("scan", "all_instrumental"),
        }
    advice = gr.HTML(elem_id="dataset-tag-advice", padding=False)
    apply = gr.Button(t("dataset.apply"), elem_id="dataset-apply", size="sm")

    def advise(tag: str, position: str, file: str, request: gr.Request) -> str:
        return tag_html(workspace, tag, position, file, language_of(request.headers))

    def save(file: str, name: str, tag: str, position: str, quiet: bool) -> str:
        """Write name, tag and position into the dataset; no caption is touched."""
        values = {"name": name, "tag": tag, "tag_position": position or None}
        if quiet:
            values["set"] = "instrumental=true"
        return change(workspace, file, values)

    asked = [settings["tag"], settings["tag_position"], path]
    for component in asked[:2]:
        component.change(advise, asked, advice, **HIDDEN)
    apply.click(save, [path, *settings.values()], told, api_name="dataset_settings")
    return settings


def _labelling(workspace: Workspace, path: Any) -> Panel:
    gr.Markdown(t("dataset.step.label"), elem_classes="step")
    with gr.Row(elem_classes="row"):
        knobs = {name: control("label", name) for name in ("skip_metas", "only_unlabelled")}
    with (
        gr.Accordion(t("page.advanced"), open=False, elem_id="label-advanced"),
        gr.Row(elem_classes="row"),
    ):
        for name in ("bpm_range", "captioner", "captioner_model", "lyrics", "lyrics_model",
                     "write_sidecars", "device"):  # fmt: skip
            knobs[name] = control("label", name)
    auto = gr.Button(t("dataset.auto"), variant="primary", elem_id="dataset-auto")
    panel = job_panel(workspace, "label")
    panel.starts(auto, "label", {"dataset": path, **knobs}, api_name="label")
    return panel


def _form(path: Any) -> Form:
    gr.Markdown(t("dataset.step.edit"), elem_classes="step")
    table = gr.Dataframe(
        headers=[*COLUMNS], label=t("dataset.table"), interactive=False, wrap=False,
        max_height=380, max_chars=48, elem_id="dataset-table",
        column_widths=[60, 170, 80, 80, 90, 70, 110, 360, 360],
        static_columns=list(range(len(COLUMNS))),
    )  # fmt: skip
    with gr.Row(elem_classes="row"):
        number = gr.Slider(1, 2, 1, step=1, label=t("dataset.choose"), elem_id="dataset-number")
    player = gr.Audio(
        buttons=["download"],
        label=t("dataset.player"),
        type="filepath",
        interactive=False,
        elem_id="dataset-player",
    )
    notice = gr.HTML(elem_id="dataset-notice", padding=False)
    fields: dict[str, Any] = {
        "caption": control("edit", "caption", lines=2),
        "lyrics": control("edit", "lyrics", lines=4),
    }
    with gr.Row(elem_classes="row"):
        for name in ("bpm", "keyscale", "timesignature", "language"):
            fields[name] = control("edit", name, min_width=160)
        fields["instrumental"] = control("edit", "instrumental", min_width=160)
    encoder = gr.Textbox(
        label=t("dataset.encoder"), lines=8, max_lines=16, interactive=False,
        elem_id="dataset-encoder", elem_classes="mono",
    )  # fmt: skip
    saved = gr.HTML(elem_id="dataset-saved", padding=False)
    song, ask = gr.Textbox(visible=False), gr.Textbox(visible=False)
    return Form(path, number, table, fields, player, notice, saved, encoder, song, ask)


def _loading(
    workspace: Workspace, form: Form, told: gr.HTML, settings: dict[str, Any], starts: list[Any]
) -> None:
    def load(file: str, request: gr.Request) -> list[Any]:
        """The songs of a dataset file: table, slider, a sentence."""
        return open_dataset(workspace, file, language_of(request.headers))

    def read(file: str) -> list[Any]:
        dataset, _ = find_song(workspace, file)
        if dataset is None:
            return [gr.skip()] * len(settings)
        return [dataset.name, dataset.tag, dataset.tag_position, gr.skip()]

    for start, name in zip(starts, ({"api_name": "load_dataset"}, HIDDEN), strict=True):
        step = start(load, form.path, [form.table, form.number, told], **name)
        step = step.then(read, form.path, list(settings.values()), **HIDDEN)
        _show_after(form, step)


def _show_after(form: Form, step: Any) -> None:
    step.then(None, None, form.ask, js=f"() => {SHOW_AGAIN}", **HIDDEN)


def _showing(workspace: Workspace, form: Form) -> None:
    """Show the chosen song; then its sound and, since it takes longer, what the encoder sees.

    Each stands for itself: Gradio copies a song for the player, which a full disk prevents. Whoever
    wants a song shown asks for it here: there is one answer at a time, and the last is for the song
    that is chosen then. Several at a time would overtake each other.
    """

    def show(file: str, number: float, request: gr.Request) -> list[Any]:
        return [*show_song(workspace, file, int(number), language_of(request.headers)), None]

    def play(file: str, number: float) -> str | None:
        return song_sound(workspace, file, int(number))

    def see(file: str, number: float) -> str:
        return encoder_text(workspace, file, int(number))

    which, last = [form.path, form.number], {**HIDDEN, "trigger_mode": "always_last"}
    step = form.ask.change(show, which, form.shown, **last)
    step.then(play, which, form.player, **last)
    step.then(see, which, form.encoder, **last, **SEEN_IN_TURN)


def _editing(workspace: Workspace, form: Form) -> None:
    """Choose by slider, click or buttons; every change is a draft at once; save or give up."""
    with gr.Row(elem_classes="row"):
        buttons = {
            name: gr.Button(t(f"dataset.{name}"), elem_id=f"dataset-{name.replace('_', '-')}",
                            variant="primary" if name == "save_changes" else "secondary")
            for name in ("previous", "save_changes", "drop", "next")
        }  # fmt: skip

    def keep(file: str, which: str, *typed: Any) -> Any:
        """Put what is typed on disk; only what goes wrong is said, since a save may be done."""
        values = dict(zip(FIELDS, typed, strict=True))
        return keep_typed(workspace, file, which, values) or gr.skip()

    def save(request: gr.Request, file: str, song: str, *typed: Any) -> list[Any]:
        """Write a song's changed labels into the dataset; the song is its number, id or name."""
        values = dict(zip(FIELDS, typed, strict=True))
        return save_song(workspace, file, song, values, language_of(request.headers))

    def drop(file: str, which: str) -> str:
        return keep_typed(workspace, file, which, None)

    def step(file: str, number: float, by: int) -> int:
        dataset, _ = find_song(workspace, file)
        return min(max(int(number) + by, 1), len(dataset.songs) if dataset else 1)

    which, whose = [form.path, form.number], [form.path, form.song]
    typed = [*whose, *form.fields.values()]
    for field in form.fields.values():
        field.input(keep, typed, form.saved, **HIDDEN, **IN_TURN, trigger_mode="always_last")
        if isinstance(field, gr.Textbox):  # what is pasted by mouse is no input to Gradio
            field.blur(keep, typed, form.saved, **HIDDEN, **IN_TURN, trigger_mode="always_last")
    form.table.select(_row_of, None, form.number, api_visibility="private")
    buttons["previous"].click(lambda f, n: step(f, n, -1), which, form.number, **HIDDEN)
    buttons["next"].click(lambda f, n: step(f, n, 1), which, form.number, **HIDDEN)
    form.number.change(
        None, None, [form.saved, form.ask], js=f"() => ['', {SHOW_AGAIN}]", **HIDDEN
    )
    handler = named(save, ["file", "song", *FIELDS], request=True)
    saved = buttons["save_changes"].click(
        handler, typed, [form.table, form.saved], api_name="save_changes", **IN_TURN
    )
    saved.then(
        lambda file, song: encoder_text(workspace, file, song), whose, form.encoder,
        trigger_mode="always_last", **HIDDEN, **SEEN_IN_TURN,
    )  # fmt: skip
    _show_after(form, buttons["drop"].click(drop, whose, form.saved, **HIDDEN, **IN_TURN))


def _following(workspace: Workspace, form: Form, labelling: Panel) -> None:
    """The table moves while songs are labelled, in whichever window that was started."""
    seen = gr.State("")

    def follow(file: str, last: str, request: gr.Request) -> list[Any]:
        try:
            path = workspace.path(file)
            mark = f"{path} {os.stat(path).st_mtime_ns}"
        except (AceStepError, OSError):
            return [gr.skip(), gr.skip(), ""]
        if mark == last:
            return [gr.skip(), gr.skip(), gr.skip()]
        table, number, _ = open_dataset(workspace, file, language_of(request.headers))
        return [table, number, mark]

    ticks = gr.Timer(FOLLOW_SECONDS).tick
    outputs = [form.table, form.number, seen]
    ticks(follow, [form.path, seen], outputs, **HIDDEN)
    labelling.ended.change(None, None, form.ask, js=f"() => {SHOW_AGAIN}", **HIDDEN)


def _saving(workspace: Workspace, path: Any) -> None:
    gr.Markdown(t("dataset.step.save"), elem_classes="step")
    with gr.Row(elem_classes="row"):
        save_as = control("edit", "save_as", value="dataset.json")
        form = control("edit", "format")
        button = gr.Button(t("dataset.save"), variant="primary", elem_id="dataset-save")
    written = gr.HTML(elem_id="dataset-written", padding=False)

    def save(file: str, target: str, layout: str, request: gr.Request) -> str:
        """Write the dataset to a file, in the layout that is asked for."""
        problem = change(workspace, file, {"save_as": target or file, "format": layout})
        if problem:
            return problem
        words = say(language_of(request.headers), "dataset.written", path=target or file)
        return f'<div class="good">{escape(words)}</div>'

    button.click(save, [path, save_as, form], written, api_name="save_dataset")


def _row_of(event: gr.SelectData) -> int:
    return int(event.index[0]) + 1
