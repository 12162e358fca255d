"""What a page shows of the job that it started last: how far, what went wrong, and a stop button.

The job is found in the queue by the page that ordered it, not remembered by the browser: after a
reload, in a second window or after a restart of the studio the panel shows it again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from acestep.errors import AceStepError
from acestep.web.follow import progress_text, trouble
from acestep.web.job_files import UNDER_WAY, Job
from acestep.web.named import named
from acestep.web.orders import order
from acestep.web.safety import problem_html
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Panel:
    """``view`` is the HTML with the state; ``ended`` changes when a job has ended: chain on
    ``panel.ended.change(…)`` to read what it wrote. ``timer`` ticks for whatever else moves."""

    workspace: Workspace
    name: str
    view: gr.HTML
    problem: gr.HTML
    stop: gr.Button
    ended: gr.Textbox
    timer: gr.Timer

    def starts(
        self, button: gr.Button, verb: str, inputs: Mapping[str, Any], *, api_name: str,
        title: Callable[..., str] | None = None, fixed: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Have a button order a verb: ``inputs`` are components by knob, ``fixed`` further values.

        The API of that name takes the same values and returns the job's id. What is wrong is shown
        above the panel.
        """
        names = list(inputs)

        def start(*values: Any) -> tuple[str, str]:
            given = {**dict(zip(names, values, strict=True)), **(fixed or {})}
            try:
                job = self.order(verb, given, title(given) if title else "")
            except AceStepError as error:
                return problem_html(error), ""
            return "", job.id

        id = gr.Textbox(visible=False)
        start.__doc__ = f"Order ``acestep {verb}``: what is wrong, if anything, and the job's id."
        handler = named(start, names)
        return button.click(handler, list(inputs.values()), [self.problem, id], api_name=api_name)

    def order(self, verb: str, values: Mapping[str, Any], title: str = "") -> Job:
        """Put a verb into the queue as this panel's; raises ``ConfigError``."""
        return order(self.workspace, verb, values, title, self.name)

    def latest(self) -> Job | None:
        """The job this panel is about: the newest that was ordered here."""
        jobs = [job for job in self.workspace.jobs.all() if job.page == self.name]
        return max(jobs, key=lambda job: job.created, default=None)


def job_panel(workspace: Workspace, name: str) -> Panel:
    """A panel for the newest job that is ordered through it, laid out where it is called."""
    problem = gr.HTML(elem_id=f"{name}-problem", padding=False)
    view = gr.HTML(elem_id=f"{name}-status", padding=False)
    stop = gr.Button(t("panel.stop"), elem_id=f"{name}-stop", visible=False, size="sm")
    ended = gr.Textbox(visible=False)
    timer = gr.Timer(REFRESH_SECONDS)
    panel = Panel(workspace, name, view, problem, stop, ended, timer)

    def show(request: gr.Request) -> tuple[str, Any, str]:
        job = panel.latest()
        if job is None:
            return "", gr.Button(visible=False), ""
        state = job.state()
        over = state not in UNDER_WAY
        html = status_html(workspace, job, language_of(request.headers))
        return html, gr.Button(visible=not over), f"{job.id} {state}" if over else ""

    def cancel() -> str:
        job = panel.latest()
        try:
            if job is not None:
                workspace.jobs.cancel(job.id)
        except AceStepError as error:
            return problem_html(error)
        return ""

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    timer.tick(show, None, [view, stop, ended], **hidden)
    stop.click(cancel, None, problem, api_visibility="private")
    return panel


def status_html(workspace: Workspace, job: Job, language: str) -> str:
    """A job's state, bar and last words; its error where it failed."""
    state = job.state()
    followed = workspace.following.of(job)
    share = round(100 * followed.share())
    words = say(language, f"job.{state}")
    if state == "waiting":
        heavy = (one for one in workspace.jobs.all() if one.is_heavy and one.state() == "running")
        if (other := next(heavy, None)) is not None:
            words = say(language, "job.waits", other=other.title or other.verb)
    parts = [f'<div class="status" data-state="{state}" data-job="{escape(job.id)}">']
    parts.append(f"<strong>{escape(words)}</strong> {escape(progress_text(followed, language))}")
    if state in ("running", "done"):
        parts.append(
            f'<div class="bar" role="progressbar" aria-valuenow="{share}" aria-valuemin="0" '
            f'aria-valuemax="100"><div style="width:{share}%"></div></div>'
        )
    parts.append("</div>")
    problem = trouble(followed, state, language)
    if problem:
        parts.append(problem_html(problem))
    return "\n".join(parts)
