"""Preprocess: encode the songs once; what is up to date, and what will be redone and why."""

from html import escape
from typing import Any

import gradio as gr

from acestep.errors import AceStepError
from acestep.events import Finished, Skipped
from acestep.web.controls import control
from acestep.web.named import named
from acestep.web.orders import config_for
from acestep.web.panel import job_panel
from acestep.web.safety import problem_html
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

_MORE = (
    "device",
    "precision",
    "audio_precision",
    "max_seconds",
    "segment_seconds",
    "tile_seconds",
    "workers",
    "seed",
    "offload",
)


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("preprocess.intro"))
    inputs = {
        "dataset": control("preprocess", "dataset", value="dataset.json"),
        "output": control("preprocess", "output"),
        "model": control("preprocess", "model"),
    }
    with gr.Accordion(t("page.advanced"), open=False, elem_id="preprocess-advanced"):
        inputs |= {name: control("preprocess", name) for name in _MORE}
    with gr.Row(elem_classes="row"):
        look = gr.Button(t("preprocess.look"), elem_id="preprocess-look")
        start = gr.Button(t("preprocess.start"), variant="primary", elem_id="preprocess-start")
    panel = job_panel(workspace, "preprocess")
    state = gr.HTML(elem_id="preprocess-state", padding=False)

    def outlook(request: gr.Request, *values: Any) -> str:
        """What a start would do, song by song."""
        return outlook_html(
            workspace, dict(zip(inputs, values, strict=True)), language_of(request.headers)
        )

    handler = named(outlook, inputs, request=True)
    look.click(handler, list(inputs.values()), state, api_name="preprocess_outlook")
    panel.starts(start, "preprocess", inputs, api_name="preprocess")
    panel.ended.change(handler, list(inputs.values()), state, api_visibility="private")


def outlook_html(workspace: Workspace, values: dict[str, Any], language: str) -> str:
    """A table of the songs: up to date, or what is to be encoded and why."""
    from acestep.preprocess import preprocess

    try:
        config = config_for(workspace, "preprocess", {**values, "dry_run": True})
        events = list(preprocess(config))
    except AceStepError as error:
        return problem_html(error)
    rows = [
        (row["name"], say(language, f"preprocess.todo.{row['todo'].replace(' ', '_')}"), row["why"])
        for event in events
        if isinstance(event, Finished)
        for row in event.facts["outlook"]
    ]
    rows += [
        (event.what, say(language, "preprocess.todo.skipped"), event.reason)
        for event in events
        if isinstance(event, Skipped)
    ]
    cells = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="plain"><tbody>{cells}</tbody></table>'
