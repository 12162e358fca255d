"""Train LoRA: load, recommend, start, watch, stop, resume, listen to checkpoints."""

import subprocess
import sys
from html import escape
from itertools import dropwhile
from pathlib import Path
from typing import Any

import gradio as gr

from acestep.adapters.locate import run_checkpoints
from acestep.data.tensors import read_manifest
from acestep.errors import AceStepError, ConfigError
from acestep.events import Failed, Notice, Started, Text, from_json
from acestep.terminal import plain
from acestep.web.controls import control
from acestep.web.curves import loss_figure
from acestep.web.named import named
from acestep.web.orders import words_for
from acestep.web.panel import job_panel
from acestep.web.reports import report_html
from acestep.web.runs import events_of, runs_in
from acestep.web.safety import problem_html
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

GUIDE = (
    "rank", "alpha", "dropout", "learning_rate", "epochs", "batch_size",
    "gradient_accumulation", "save_every", "shift", "seed",
)  # fmt: skip
MORE = (
    "adapter", "targets", "teach_guidance", "keep_untagged", "optimizer", "schedule",
    "warmup_steps", "weight_decay", "max_grad_norm", "timesteps", "condition_dropout", "validation",
    "validate_every", "patience", "gradient_checkpointing", "memory_limit",
    "patches_at_once", "compile", "cuda_graphs", "device", "precision", "base_precision", "model",
)  # fmt: skip
LOG_LINES = 60
PLOT_SECONDS = 3.0


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("train.intro"))
    with gr.Row(elem_classes="row"):
        tensors = control("train", "tensors", value="tensors")
        output = control("train", "output")
        card = control("train", "gpu")
    with gr.Row(elem_classes="row"):
        load = gr.Button(t("train.load"), elem_id="train-load")
        recommend = gr.Button(t("train.recommend"), elem_id="train-recommend")
        expect = gr.Button(t("train.expect"), elem_id="train-expect")
    found = gr.HTML(elem_id="train-found", padding=False)
    inputs = {"tensors": tensors, "output": output}
    with gr.Group(), gr.Row(elem_classes="row"):
        for name in GUIDE:
            inputs[name] = control("train", name, min_width=220, **_EMPTY.get(name, {}))
    with (
        gr.Accordion(t("page.advanced"), open=False, elem_id="train-advanced"),
        gr.Row(elem_classes="row"),
    ):
        inputs |= {name: control("train", name, min_width=220) for name in MORE}
    with gr.Row(elem_classes="row"):
        start = gr.Button(t("train.start"), variant="primary", elem_id="train-start")
        resume = gr.Button(t("train.resume"), elem_id="train-resume")
    panel = job_panel(workspace, "train")
    panel.starts(start, "train", inputs, api_name="train", title=_title)
    panel.starts(
        resume, "train", {"tensors": tensors, "output": output}, api_name="resume_training",
        title=_title, fixed={"resume": True},
    )  # fmt: skip
    _watching(workspace, output)
    _listening(workspace, output)

    def show_found(folder: str, request: gr.Request) -> str:
        """What lies in the tensor folder."""
        return found_html(workspace, folder, language_of(request.headers))

    def fill(request: gr.Request, folder: str, gpu: str | None) -> list[Any]:
        """The recommended values and why."""
        language = language_of(request.headers)
        return recommended(workspace, folder, gpu or "", language, (*GUIDE, *MORE))

    asked = {**inputs, "gpu": card}

    def foresee(*values: Any) -> str:
        """What a start would take."""
        return outlook_html(workspace, dict(zip(asked, values, strict=True)))

    load.click(show_found, tensors, found, api_name="load_tensors")
    knobs = [inputs[name] for name in (*GUIDE, *MORE)]
    handler = named(fill, ("folder", "gpu"), request=True)
    recommend.click(handler, [tensors, card], [found, *knobs], api_name="recommend")
    expect.click(named(foresee, asked), list(asked.values()), found, api_name="train_outlook")


_EMPTY: dict[str, dict[str, Any]] = {"alpha": {"value": ""}}  # follows the rank unless given


def _title(values: dict[str, Any]) -> str:
    return Path(str(values.get("output") or "runs/adapter")).name


def found_html(workspace: Workspace, folder: str, language: str) -> str:
    """Songs, minutes, tag and model of a tensor folder, or what is wrong with it."""
    try:
        manifest = read_manifest(workspace.path(folder))
    except AceStepError as error:
        return problem_html(error)
    data, model = manifest.dataset, manifest.model
    words = say(
        language, "train.loaded", songs=data.get("songs", len(manifest.samples)),
        minutes=f"{float(data.get('seconds', 0)) / 60:.1f}", tag=data.get("tag", ""),
        model=model.get("name", "?"),
    )  # fmt: skip
    return f'<div class="good">{escape(words)}</div>'


def outlook_html(workspace: Workspace, values: dict[str, Any]) -> str:
    """What a start with these values would take, and what is short; or what it would refuse."""
    try:
        words = words_for(workspace, "train", {**values, "dry_run": True})
    except AceStepError as error:
        return problem_html(error)
    # In a process of its own: the steps that it times would leave a card's memory with this one
    command = [sys.executable, "-m", "acestep", *words, "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    whole = done.stdout.rpartition("\n")[0]  # a process that is killed leaves half a line
    events = [from_json(line) for line in whole.splitlines()]
    for event in events:
        if isinstance(event, Failed):
            return problem_html((event.message, event.hint))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]  # of a traceback: what went wrong
        return problem_html((f"acestep train --dry-run ended with {done.returncode}", last))
    # What comes before is the command line's about unusual values, which the controls say too
    events = list(dropwhile(lambda event: not isinstance(event, Started), events))
    told = "\n".join(event.text for event in events if isinstance(event, Text))
    short = [e.message for e in events if isinstance(e, Notice) and e.level == "warning"]
    lines = "".join(f'<div class="problem">{escape(line)}</div>' for line in short)
    return f'{lines}<div class="good"><pre class="mono">{escape(told)}</pre></div>'


def recommended(
    workspace: Workspace, folder: str, gpu: str, language: str, names: tuple[str, ...]
) -> list[Any]:
    """HTML with each value's reason and the expected cost, then a value for every control."""
    from acestep.training.advice import advise
    from acestep.training.situation import look_at_tensors

    try:
        advice = advise(look_at_tensors(workspace.path(folder), gpu=gpu.strip() or None))
    except AceStepError as error:
        return [problem_html(error), *(gr.skip() for _ in names)]
    values = advice.values()
    lines = [f"<li><code>{escape(each.knob)} {escape(str(each.value))}</code>: "
             f"{escape(each.reason)}</li>" for each in advice.settings]  # fmt: skip
    cost = say(
        language, "train.expects", memory=advice.memory.sentence, time=advice.time.sentence,
        disk=advice.estimate.disk.sentence,
    )  # fmt: skip
    html = f'<div class="good">{escape(cost)}<ul>{"".join(lines)}</ul></div>'
    return [html, *(values.get(name, gr.skip()) for name in names)]


def _watching(workspace: Workspace, output: gr.Textbox) -> None:
    """The curve and the log of the run in the folder, which move while it trains."""
    with gr.Row(elem_classes="row"):
        log_scale = gr.Checkbox(False, label=t("train.log_scale"), elem_id="train-log-scale")
        raw = gr.Checkbox(True, label=t("train.raw"), elem_id="train-raw")
    plot = gr.Plot(label=t("train.plot"), elem_id="train-plot")
    log = gr.Textbox(
        label=t("train.log"), lines=8, max_lines=14, interactive=False, elem_id="train-log",
        elem_classes="mono",
    )  # fmt: skip
    seen = gr.State(())

    def show(folder: str, logs: bool, raws: bool, last: tuple) -> list[Any]:
        try:
            path = workspace.path(folder or "runs/adapter")
        except ConfigError:
            return [gr.skip(), gr.skip(), gr.skip()]
        events = events_of(path)
        mark = (str(path), len(events), logs, raws)
        if mark == tuple(last):
            return [gr.skip(), gr.skip(), gr.skip()]
        lines = [line for line in map(plain, events) if line]
        figure = loss_figure(events, log_scale=logs, raw=raws)
        return [figure, "\n".join(lines[-LOG_LINES:]), mark]

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = [output, log_scale, raw, seen]
    gr.Timer(PLOT_SECONDS).tick(show, inputs, [plot, log, seen], **hidden)
    for control_ in (log_scale, raw):
        control_.change(show, inputs, [plot, log, seen], **hidden)


def _listening(workspace: Workspace, output: gr.Textbox) -> None:
    """Checkpoints as they appear, each to be heard with the test prompt, and the evaluation."""
    with gr.Row(elem_classes="row"):
        checkpoint = gr.Dropdown([], label=t("train.checkpoints"), elem_id="train-checkpoints")
        prompt = gr.Textbox(label=t("train.listen.prompt"), elem_id="train-prompt")
        duration = control("generate", "duration", value=10, elem_id="train-duration")
        listen = gr.Button(t("train.listen"), elem_id="train-listen")
    heard = gr.Audio(
        label=t("train.heard"), elem_id="train-heard", interactive=False, buttons=["download"]
    )
    panel = job_panel(workspace, "train-hear")
    evaluate = gr.Button(t("train.report"), elem_id="train-evaluate")
    judged = job_panel(workspace, "evaluate")
    report = gr.HTML(elem_id="train-report", padding=False)

    def refresh(folder: str) -> Any:
        try:
            names = [path.name for path in run_checkpoints(workspace.path(folder))]
        except ConfigError:
            names = []
        return gr.Dropdown(choices=names)

    def hear(folder: str, name: str, caption: str, seconds: float) -> str:
        """Generate the test prompt from a checkpoint; returns what is wrong, if anything."""
        try:
            run = workspace.path(folder)
            lora = run / "checkpoints" / Path(name or "").name
            file = run / "samples" / f"{lora.name}.wav"
            values = {"lora": [lora], "caption": caption, "duration": seconds, "output": file}
            panel.order("generate", values, f"{run.name}, {lora.name}")
        except AceStepError as error:
            return problem_html(error)
        return ""

    def heard_file() -> Any:
        job = panel.latest()
        files = runs_in(job) if job else []
        return str(files[-1]) if files else gr.skip()

    gr.Timer(PLOT_SECONDS).tick(
        refresh, output, checkpoint, api_visibility="private", show_progress="hidden"
    )
    listen.click(hear, [output, checkpoint, prompt, duration], panel.problem, api_name="listen")
    panel.ended.change(heard_file, None, heard, api_visibility="private")
    judged.starts(evaluate, "evaluate", {"run": output}, api_name="evaluate")
    judged.ended.change(
        lambda folder: report_html(workspace, folder), output, report, api_visibility="private"
    )
