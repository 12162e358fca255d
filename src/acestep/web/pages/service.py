"""Service Configuration: model, device, memory; adapters with a strength each."""

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import psutil

from acestep.data.files import size_text
from acestep.errors import AceStepError
from acestep.model.find import list_models
from acestep.web.controls import knob_of
from acestep.web.named import named
from acestep.web.safety import problem_html
from acestep.web.service import Service, adapter_rows, read_service, write_service
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

COLUMNS = ("name", "tag", "base", "kind", "songs", "well", "strength", "on", "path")
# Bytes of the published checkpoints with VAE and text encoder, in bfloat16
DOWNLOADS = {"xl": 11.5e9, "": 6.3e9}
CHOICES = ("model", "device", "precision", "offload", "offload_dit", "tiled")
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("service.intro"))
    now = read_service(workspace)
    devices = ["", *knob_of("generate", "device").choices]
    with gr.Row(elem_classes="row"):
        model = gr.Dropdown(
            [row.name for row in list_models()], value=now.model, allow_custom_value=True,
            label=t("service.model"), elem_id="service-model",
        )  # fmt: skip
        device = gr.Dropdown(
            devices, value=now.device, label=t("service.device"), elem_id="service-device"
        )
        precision = gr.Dropdown(
            list(knob_of("generate", "precision").choices), value=now.precision,
            label=t("service.precision"), elem_id="service-precision",
        )  # fmt: skip
    with gr.Row(elem_classes="row"):
        switches = [
            gr.Checkbox(value, label=t(f"service.{name}"), elem_id=f"service-{name}")
            for name, value in (
                ("offload", now.offload),
                ("offload_dit", now.offload_dit),
                ("tiled", now.tiled),
            )
        ]
    found = gr.HTML(elem_id="service-found", padding=False)
    choices: list[Any] = [model, device, precision, *switches]

    def configure(request: gr.Request, *values: Any) -> str:
        """Keep model, device, precision and offload; say what memory they need."""
        service = replace(read_service(workspace), **dict(zip(CHOICES, values, strict=True)))
        try:
            if Path(service.model).expanduser().exists():
                workspace.path(service.model)  # a path to a model lies below a root
            write_service(workspace, service)
        except AceStepError as error:
            return problem_html(error)
        return memory_html(service, language_of(request.headers))

    handler = named(configure, CHOICES, request=True)
    for component in choices:
        component.input(handler, choices, found, **HIDDEN)
    models = gr.HTML(elem_id="service-models", padding=False)
    _adapters(workspace)
    shown = gr.Timer(0.2)

    def begin(request: gr.Request) -> list[Any]:
        language, service = language_of(request.headers), read_service(workspace)
        kept = [service.model, service.device, service.precision, service.offload,
                service.offload_dit, service.tiled]  # fmt: skip
        said = [memory_html(service, language), models_html(language)]
        return [*said, *kept, gr.Timer(active=False)]

    shown.tick(begin, None, [found, models, *choices, shown], **HIDDEN)


@dataclass(frozen=True)
class Shelf:
    """The components of the adapters: a path to load from, the table, the chosen one's controls."""

    path: gr.Textbox
    load: gr.Button
    problem: gr.HTML
    table: gr.Dataframe
    chosen: gr.Dropdown
    strength: gr.Slider
    acts: gr.Checkbox
    unload: gr.Button
    use: gr.Checkbox


def _shelf(service: Service) -> Shelf:
    with gr.Row(elem_classes="row"):
        path = gr.Textbox(
            label=t("service.lora"), info=t("service.lora.info"), elem_id="service-lora", scale=3
        )
        load = gr.Button(t("service.load"), variant="primary", elem_id="service-load")
    problem = gr.HTML(elem_id="service-problem", padding=False)
    table = gr.Dataframe(
        headers=[*COLUMNS], label=t("service.adapters"), interactive=False, wrap=False,
        elem_id="service-adapters", column_widths=[130, 110, 90, 110, 80, 260, 100, 80, 260],
    )  # fmt: skip
    with gr.Row(elem_classes="row"):
        chosen = gr.Dropdown(
            [one.path for one in service.adapters], value=None, label=t("service.chosen"),
            elem_id="service-chosen", allow_custom_value=True,
        )  # fmt: skip
        strength = gr.Slider(
            0, 2, 1, step=0.05, label=t("service.strength"), elem_id="service-strength"
        )
        acts = gr.Checkbox(True, label=t("service.on"), elem_id="service-on")
        unload = gr.Button(t("service.unload"), elem_id="service-unload")
    use = gr.Checkbox(service.use_lora, label=t("service.use"), elem_id="service-use")
    return Shelf(path, load, problem, table, chosen, strength, acts, unload, use)


def _adapters(workspace: Workspace) -> None:
    """Load, unload, choose, set strengths; the table shows what each adapter is."""
    shelf = _shelf(read_service(workspace))

    def show(request: gr.Request) -> list[Any]:
        service, language = read_service(workspace), language_of(request.headers)
        headers = [say(language, f"service.column.{name}") for name in COLUMNS]
        paths = [one.path for one in service.adapters]
        rows = {"headers": headers, "data": adapter_rows(service)}
        return [rows, gr.Dropdown(choices=paths), service.use_lora]

    def unload_lora(text: str) -> Any:
        """Take an adapter off the list."""
        write_service(workspace, read_service(workspace).without(text))
        return None

    def set_strength(text: str, value: float, on: bool) -> None:
        """Change an adapter's strength, or switch it off."""
        service = read_service(workspace).changed(text, strength=float(value), on=bool(on))
        write_service(workspace, service)

    def use_lora(value: bool) -> None:
        """All adapters on, or the base alone."""
        write_service(workspace, replace(read_service(workspace), use_lora=bool(value)))

    def values_of(text: str) -> tuple[float, bool]:
        found = [one for one in read_service(workspace).adapters if one.path == text]
        return (found[0].strength, found[0].on) if found else (1.0, True)

    chosen, asked = shelf.chosen, [shelf.chosen, shelf.strength, shelf.acts]
    once = gr.Timer(0.3)
    for step in (
        shelf.load.click(
            _loading(workspace), shelf.path, [shelf.problem, chosen], api_name="load_lora"
        ),
        shelf.unload.click(unload_lora, chosen, chosen, api_name="unload_lora"),
        shelf.strength.release(set_strength, asked, None, api_name="lora_strength"),
        shelf.acts.input(set_strength, asked, None, **HIDDEN),
        shelf.use.input(use_lora, shelf.use, None, api_name="use_lora"),
        once.tick(lambda: gr.Timer(active=False), None, once, **HIDDEN),
    ):
        # Not skipped while another is under way, whose answer may be older
        step.then(
            show, None, [shelf.table, chosen, shelf.use], trigger_mode="always_last", **HIDDEN
        )
    shelf.table.select(_path_of, None, chosen, api_visibility="private")
    chosen.change(values_of, chosen, asked[1:], **HIDDEN)


def _loading(workspace: Workspace) -> Any:
    def load_lora(text: str) -> tuple[str, Any]:
        """Read an adapter and put it on the list; what is wrong with it, if anything."""
        from acestep.adapters.files import read_adapter  # torch: slow to import

        try:
            place = workspace.path(text)
            read_adapter(place)
            write_service(workspace, read_service(workspace).with_adapter(str(place)))
        except AceStepError as error:
            return problem_html(error), gr.skip()
        return "", str(place)

    return load_lora


def memory_html(service: Service, language: str) -> str:
    """Device and precision found, memory free, and what the model's weights need."""
    from acestep.model.device import choose_device, choose_dtype
    from acestep.training.machine import this_machine

    try:
        device = choose_device(service.device or None)
        dtype = choose_dtype(device, service.precision)
        total = this_machine(service.device or None).memory
    except AceStepError as error:
        return problem_html(error)
    free = _free(device.type, total)
    need = _size_of(service.model)
    words = say(
        language, "service.found", device=str(device), precision=str(dtype).removeprefix("torch."),
        free=size_text(free), total=size_text(total), need=size_text(need),
    )  # fmt: skip
    if need > free:
        return problem_html((words, say(language, "service.too_big")))
    return f'<div class="good">{escape(words)}</div>'


def models_html(language: str) -> str:
    """The models that are here, and those that can be downloaded, with their sizes."""
    rows = []
    for row in list_models():
        key = "service.here" if row.present else "service.not_here"
        where = row.problem or say(language, key, size=size_text(row.size or _size_of(row.name)))
        rows.append(f"<tr><td>{escape(row.name)}</td><td>{escape(where)}</td></tr>")
    title = escape(say(language, "service.models"))
    table = f'<table class="plain"><tbody>{"".join(rows)}</tbody></table>'
    return f"<details><summary>{title}</summary>{table}</details>"


def _size_of(name: str) -> float:
    """Bytes of a model's weights: of the files where they are here, else as published."""
    sizes = {row.name: row.size for row in list_models()}
    return sizes.get(name) or next(size for key, size in DOWNLOADS.items() if key in name)


def _free(kind: str, total: float) -> float:
    if kind == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0])
    return float(min(psutil.virtual_memory().available, total))


def _path_of(event: gr.SelectData) -> str:
    return str(event.row_value[-1])
