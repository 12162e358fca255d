"""Export: a checkpoint as the file or folder that another program reads."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from acestep.adapters.locate import run_checkpoints
from acestep.errors import AceStepError, ConfigError
from acestep.web.controls import control
from acestep.web.follow import Followed
from acestep.web.panel import job_panel
from acestep.web.reports import report_html
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

# How each form is loaded; {path} is what was written
LOADING = {
    "peft": (
        "from acestep import AceStepPipeline\n"
        'pipeline = AceStepPipeline(model_path="{model}", lora_path="{path}")'
    ),
    "diffusers": (
        "from diffusers import AceStepPipeline\n"
        'pipeline = AceStepPipeline.from_pretrained("{model}")\n'
        'pipeline.load_lora_weights("{path}")'
    ),
    "comfyui": "cp {path} ComfyUI/models/loras/    # then: Load LoRA (Model Only)",
    "upstream": "# the original program: Service Configuration → LoRA Path → {path} → Load LoRA",
    "merged": "# put it in the place of transformer/ in a copy of the base model: {path}",
}


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("export.intro"))
    inputs = {"run": control("export", "run", value="runs/adapter")}
    with gr.Row(elem_classes="row"):
        inputs["checkpoint"] = control("export", "checkpoint", choices=[""])
        refresh = gr.Button(t("export.refresh"), elem_id="export-refresh")
        read = gr.Button(t("export.report"), elem_id="export-report")
    with gr.Row(elem_classes="row"):
        inputs["format"] = control("export", "format")
        inputs["output"] = control("export", "output")
    with gr.Accordion(t("page.advanced"), open=False, elem_id="export-advanced"):
        inputs |= {name: control("export", name) for name in ("license", "consent", "model", "bin")}
    report = gr.HTML(elem_id="export-report-page", padding=False)
    start = gr.Button(t("export.start"), variant="primary", elem_id="export-start")
    panel = job_panel(workspace, "export")
    written = gr.HTML(elem_id="export-written", padding=False)

    def checkpoints(run: str) -> Any:
        """The checkpoints of the run's folder; nothing is the newest."""
        try:
            names = [path.name for path in run_checkpoints(workspace.path(run))]
        except ConfigError:
            names = []
        return gr.Dropdown(choices=["", *reversed(names)], value="")

    def show(form: str, request: gr.Request) -> str:
        return written_html(workspace, panel.latest(), form, language_of(request.headers))

    for event in (refresh.click, inputs["run"].change):
        event(checkpoints, inputs["run"], inputs["checkpoint"], api_visibility="private")
    read.click(
        lambda run: report_html(workspace, run), inputs["run"], report, api_visibility="private"
    )
    panel.starts(start, "export", inputs, api_name="export")
    panel.ended.change(show, inputs["format"], written, api_visibility="private")


def written_html(workspace: Workspace, job: Any, form: str, language: str) -> str:
    """What an export wrote, and the lines that load it elsewhere."""
    if job is None or job.state() != "done":
        return ""
    followed = Followed(job)
    followed.read_on()
    if "--format" in job.words:
        form = job.words[job.words.index("--format") + 1]
    files = [*followed.files("adapter"), *followed.files("transformer")]
    try:
        names = [workspace.shown(Path(file)) for file in files]
    except (AceStepError, OSError):
        names = [str(file) for file in files]
    listed = "".join(f"<li>{escape(name)}</li>" for name in names)
    code = LOADING.get(form, LOADING["peft"]).format(path=followed.made, model="acestep-v15-turbo")
    how = escape(say(language, "export.how"))
    return (
        f'<div class="good"><ul>{listed}</ul><h4>{how}</h4>'
        f'<pre class="mono" tabindex="0">{escape(code)}</pre></div>'
    )
