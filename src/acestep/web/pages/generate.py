"""Generate: caption, lyrics, task, sources; pieces side by side, with and without adapters."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from acestep.errors import AceStepError
from acestep.web.controls import control
from acestep.web.named import named
from acestep.web.panel import Panel, job_panel
from acestep.web.results import FORMATS, MOST, add_to_dataset, converted, made_by, orders
from acestep.web.safety import check_upload, problem_html
from acestep.web.service import read_service, tags_of
from acestep.web.uploads import place
from acestep.web.waveform import empty, outline, waveform
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

SECTIONS = ("[Intro]", "[Verse 1]", "[Pre-Chorus]", "[Chorus]", "[Bridge]", "[Outro]")
MAIN = ("bpm", "keyscale", "timesignature", "language", "duration", "seed")
SAMPLING = ("steps", "shift", "guidance")
SOURCE = (
    "repainting_start", "repainting_end", "cover_strength", "cover_noise_strength", "track",
)  # fmt: skip
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Inputs:
    """The controls by knob, and the audio that is dropped on the page."""

    knobs: dict[str, Any]
    source: gr.Audio
    reference: gr.Audio
    count: gr.Slider

    @property
    def all(self) -> list[Any]:
        """In the order in which handlers take them."""
        return [*self.knobs.values(), self.source, self.reference, self.count]


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("generate.intro"))
    inputs = _inputs(workspace)
    with gr.Row(elem_classes="row"):
        start = gr.Button(t("generate.start"), variant="primary", elem_id="generate-start")
        both = gr.Button(t("generate.ab"), elem_id="generate-ab")
    panel = job_panel(workspace, "generate")

    def ordering(*, ab: bool) -> Any:
        def generate(*values: Any) -> tuple[str, list[str]]:
            """Order pieces; what is wrong, if anything, and the ids of the jobs."""
            return order_pieces(workspace, panel, inputs, values, both=ab)

        names = [*inputs.knobs, "src_audio", "reference_audio", "count"]
        return named(generate, names)

    ids = gr.JSON(visible=False)
    start.click(ordering(ab=False), inputs.all, [panel.problem, ids], api_name="generate")
    both.click(ordering(ab=True), inputs.all, [panel.problem, ids], api_name="generate_ab")
    _results(workspace, panel, inputs)


def _inputs(workspace: Workspace) -> Inputs:
    knobs: dict[str, Any] = {"caption": control("generate", "caption", lines=2)}
    with gr.Row(elem_classes="row"):
        tag = gr.Button(t("generate.add_tag"), elem_id="generate-add-tag", size="sm")
    warning = gr.HTML(elem_id="generate-tag", padding=False)
    knobs["lyrics"] = control("generate", "lyrics", lines=5)
    with gr.Row(elem_classes="row sections"):
        for words in SECTIONS:
            button = gr.Button(words, size="sm", min_width=90)
            button.click(
                lambda lyrics, words=words: _with_section(lyrics, words), knobs["lyrics"],
                knobs["lyrics"], **HIDDEN,
            )  # fmt: skip
    with gr.Row(elem_classes="row"):
        for name in MAIN:
            knobs[name] = control("generate", name, min_width=150)
        count = gr.Slider(
            1, MOST, 1, step=1, label=t("generate.count"), info=t("generate.count.info"),
            elem_id="generate-count", min_width=150,
        )  # fmt: skip
    with gr.Row(elem_classes="row"):
        for name in SAMPLING:
            knobs[name] = control("generate", name, min_width=150)
        knobs["task"] = control("generate", "task", min_width=150)
    with gr.Accordion(t("generate.source"), open=False, elem_id="generate-source"):
        source, reference = _source(workspace, knobs)
    knobs_in = [knobs["caption"]]

    def add_tag(caption: str) -> str:
        missing = [tag for tag in tags_of(read_service(workspace)) if tag not in caption]
        return ", ".join([*missing, caption]) if caption else ", ".join(missing)

    def warn(caption: str, request: gr.Request) -> str:
        return tag_warning(workspace, caption, language_of(request.headers))

    tag.click(add_tag, knobs_in, knobs["caption"], **HIDDEN)
    knobs["caption"].change(warn, knobs_in, warning, **HIDDEN)
    return Inputs(knobs, source, reference, count)


def _source(workspace: Workspace, knobs: dict[str, Any]) -> tuple[gr.Audio, gr.Audio]:
    """Source with its window, reference, and the knobs of the tasks that have a source."""
    with gr.Row(elem_classes="row"):
        source, reference = (
            gr.Audio(label=t(f"knob.generate.{name}"), type="filepath", sources=["upload"],
                     elem_id=f"generate-{name.replace('_', '-')}", editable=False)
            for name in ("src_audio", "reference_audio")
        )  # fmt: skip
    gr.Markdown(t("generate.window"))
    wave = waveform("generate-wave")
    with gr.Row(elem_classes="row"):
        for name in SOURCE:
            knobs[name] = control("generate", name, min_width=150)

    def draw(file: str | None, start: str, end: str) -> Any:
        try:
            known = outline(Path(file), _number(start) or 0.0, _number(end)) if file else empty()
        except AceStepError:
            known = empty()
        return gr.HTML(known, visible=bool(known["peaks"]))

    def choose(file: str | None, event: gr.EventData) -> list[Any]:
        seconds = outline(Path(file))["seconds"] if file else 0.0
        data = event._data or {}
        ends = [round(float(data[name]) * seconds, 2) for name in ("start", "end")]
        return [*ends, "repaint"]

    start, end = knobs["repainting_start"], knobs["repainting_end"]
    for component in (source, start, end):
        component.change(draw, [source, start, end], wave, **HIDDEN)
    wave.select(choose, source, [start, end, knobs["task"]], api_visibility="private")
    return source, reference


def order_pieces(
    workspace: Workspace, panel: Panel, inputs: Inputs, values: tuple[Any, ...], *, both: bool
) -> tuple[str, list[str]]:
    """Put the pieces into the queue, all seeds in one job; nothing if anything is wrong."""
    *given, source, reference, count = values
    wanted = dict(zip(inputs.knobs, given, strict=True))
    try:
        wanted["src_audio"] = _taken(workspace, source)
        wanted["reference_audio"] = _taken(workspace, reference)
        ordered = orders(workspace, read_service(workspace), wanted, count, both=both)
        jobs = [panel.order("generate", each, Path(each["output"]).name) for each in ordered]
    except AceStepError as error:
        return problem_html(error), []
    return "", [job.id for job in jobs]


def _taken(workspace: Workspace, file: str | None) -> str:
    """Audio that was dropped on the page, below the studio's own folder; nothing for nothing.

    The browser's copy lies outside of the roots and goes with the session.
    """
    if not file:
        return ""
    path = Path(file)
    if any(path.resolve().is_relative_to(root) for root in workspace.roots):
        return str(path.resolve())
    if check_upload(path) != "audio":
        raise AceStepError(f"{path.name} is no audio", hint="drop a WAV, MP3, FLAC, Ogg or Opus")
    return str(place(path, workspace.state / "uploads"))


def tag_warning(workspace: Workspace, caption: str, language: str) -> str:
    """What to say if the caption lacks a tag of an adapter that acts."""
    missing = [
        tag for tag in tags_of(read_service(workspace)) if tag.lower() not in caption.lower()
    ]
    lines = [escape(say(language, "generate.tag_missing", tag=tag)) for tag in missing]
    return f'<div class="problem">{"<br>".join(lines)}</div>' if lines else ""


def _results(workspace: Workspace, panel: Panel, inputs: Inputs) -> None:
    """Players for what was made, and what can be done with the chosen one."""
    gr.Markdown(t("generate.results"), elem_classes="step")
    players = []
    for first in range(0, 2 * MOST, 2):
        with gr.Row(elem_classes="row"):
            players += [
                gr.Audio(visible=False, interactive=False, type="filepath", buttons=["download"],
                         label=t("generate.results"), elem_id=f"generate-result-{number}")
                for number in (first, first + 1)
            ]  # fmt: skip
    chosen = gr.Dropdown(
        [], label=t("generate.chosen"), elem_id="generate-chosen", allow_custom_value=True
    )
    seen = gr.State("")

    def show(last: str, request: gr.Request) -> list[Any]:
        files = made_by(panel.latest())[: 2 * MOST]
        mark = " ".join(map(str, files))
        if mark == last:
            return [gr.skip()] * (len(players) + 2)
        language = language_of(request.headers)
        shown = [gr.Audio(str(file), visible=True, label=_label(file, language)) for file in files]
        hidden = [gr.Audio(None, visible=False) for _ in players[len(files) :]]
        names = [workspace.shown(file) for file in files]
        pick = gr.Dropdown(choices=names, value=names[0] if names else None)
        return [*shown, *hidden, pick, mark]

    panel.timer.tick(show, seen, [*players, chosen, seen], **HIDDEN)

    _using(workspace, inputs, chosen)


def _using(workspace: Workspace, inputs: Inputs, chosen: gr.Dropdown) -> None:
    """What can be done with the chosen piece: download, repaint, add to a dataset."""
    with gr.Row(elem_classes="row"):
        form = gr.Dropdown(
            list(FORMATS), value="flac", label=t("generate.format"), elem_id="generate-format"
        )
        download = gr.DownloadButton(t("generate.download"), elem_id="generate-download")
    with gr.Row(elem_classes="row"):
        repaint = gr.Button(t("generate.repaint"), elem_id="generate-repaint")
        folder = gr.Textbox("songs", label=t("generate.folder"), elem_id="generate-folder")
        add = gr.Button(t("generate.to_dataset"), elem_id="generate-to-dataset")
    told = gr.HTML(elem_id="generate-told", padding=False)

    def make(file: str, wanted: str) -> Any:
        """The chosen piece in the chosen format, ready to download."""
        try:
            return str(converted(workspace, file, wanted))
        except AceStepError as error:
            gr.Warning(str(error))
            return None

    def send(file: str) -> list[Any]:
        try:
            return [str(workspace.path(file)), "repaint", ""]
        except AceStepError as error:
            return [gr.skip(), gr.skip(), problem_html(error)]

    def put(request: gr.Request, file: str, target: str, *values: Any) -> str:
        """Copy the chosen piece into a folder of songs, with its labels beside it."""
        labels = dict(zip(inputs.knobs, values, strict=True))
        try:
            added = add_to_dataset(workspace, file, target, labels)
        except AceStepError as error:
            return problem_html(error)
        words = say(language_of(request.headers), "generate.added", file=workspace.shown(added))
        return f'<div class="good">{escape(words)}</div>'

    for component in (chosen, form):
        component.change(make, [chosen, form], download, **HIDDEN)
    repaint.click(send, chosen, [inputs.source, inputs.knobs["task"], told], **HIDDEN)
    handler = named(put, ["file", "folder", *inputs.knobs], request=True)
    add.click(handler, [chosen, folder, *inputs.knobs.values()], told, api_name="add_to_dataset")


def _label(file: Path, language: str) -> str:
    """A player's name: its seed, and whether the adapters acted."""
    seed, _, which = file.stem.partition("_")
    return f"{seed}: {say(language, f'generate.{which}')}" if which in ("on", "off") else seed


def _with_section(lyrics: str, words: str) -> str:
    """Lyrics with one more section; the mark of an instrumental piece gives way."""
    text = (lyrics or "").rstrip()
    if text.lower() in ("", "[instrumental]"):
        return f"{words}\n"
    return f"{text}\n\n{words}\n"


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
