"""The Jobs page: everything that runs, waits and ran; its order, its logs, its end."""

import shlex
import time
from html import escape
from typing import Any

import gradio as gr

from acestep.errors import AceStepError
from acestep.terminal import plain
from acestep.web.follow import progress_text, trouble
from acestep.web.job_files import Job, State
from acestep.web.safety import problem_html
from acestep.web.words import language_of, say, t
from acestep.web.workspace import Workspace

REFRESH_SECONDS = 1.5
_LINES = 200  # of what a job says
_COLUMNS = ("name", "state", "progress", "created", "id")


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
    gr.Markdown(t("jobs.intro"))
    table = gr.Dataframe(
        headers=[*_COLUMNS],
        label=t("jobs.table"),
        interactive=False,
        wrap=False,
        max_chars=70,
        column_widths=[170, 120, 390, 190, 250],
        elem_id="jobs-table",
    )
    chosen = gr.Textbox(label=t("jobs.chosen"), info=t("jobs.choose"), elem_id="jobs-chosen")
    with gr.Row():
        buttons = {
            name: gr.Button(t(f"jobs.{name}"), elem_id=f"jobs-{name}", size="sm", min_width=120)
            for name in ("cancel", "kill", "up", "down", "again", "remove")
        }
    problem = gr.HTML(elem_id="jobs-problem")
    details = gr.HTML(elem_id="jobs-details")

    def show(id: str, request: gr.Request) -> tuple[dict[str, Any], str]:
        language = language_of(request.headers)
        # Gradio translates no headers of tables
        headers = [say(language, f"jobs.column.{name}") for name in _COLUMNS]
        filled = {"headers": headers, "data": rows(workspace, language)}
        return filled, details_html(workspace, id, language)

    def choose(event: gr.SelectData) -> str:
        return str(event.row_value[-1])

    view = [table, details]
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    table.select(choose, None, chosen, api_visibility="private")
    gr.Timer(REFRESH_SECONDS).tick(show, chosen, view, **hidden)
    chosen.change(show, chosen, view, **hidden)
    for name, button in buttons.items():
        button.click(_acting(workspace, name), chosen, problem, api_name=f"job_{name}").then(
            show, chosen, view, **hidden
        )
    gr.api(_listing(workspace), api_name="jobs")
    gr.api(_watching(workspace), api_name="watch_job")


def rows(workspace: Workspace, language: str) -> list[list[str]]:
    """The table: running first, then the queue in its order, then what ended, newest first."""
    jobs = [(job, job.state()) for job in workspace.jobs.all()]
    running, waiting = (
        [pair for pair in jobs if pair[1] == state] for state in ("running", "waiting")
    )
    ended = [pair for pair in reversed(jobs) if pair[1] not in ("running", "waiting")]
    return [
        [
            name_of(job),
            say(language, f"job.{state}"),
            _progress(workspace, job, state, language),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created)),
            job.id,
        ]
        for job, state in running + waiting + ended
    ]


def name_of(job: Job) -> str:
    """What a job is called: its title, or its verb."""
    return job.title or job.verb


def details_html(workspace: Workspace, id: str, language: str) -> str:
    """The chosen job: its command, what it says, its log; a traceback is only ever in the log."""
    if not id:
        return f'<p class="quiet">{escape(say(language, "jobs.choose"))}</p>'
    try:
        job = workspace.jobs.get(id.strip())
    except AceStepError as error:
        return problem_html(error)
    state = job.state()  # before its events: of a job that has ended they are all there
    followed = workspace.following.of(job)
    lines = [line for line in map(plain, followed.events[-2 * _LINES :]) if line]
    problem = trouble(followed, state, language)
    parts = [problem_html(problem)] if problem else []
    share = round(100 * followed.share())
    parts.append(
        f'<div class="bar" role="progressbar" aria-valuenow="{share}" aria-valuemin="0" '
        f'aria-valuemax="100"><div style="width:{share}%"></div></div>'
    )
    command = "acestep " + shlex.join(job.words)
    for key, text in (
        ("jobs.command", command),
        ("jobs.events", "\n".join(lines[-_LINES:])),
        ("jobs.log", job.log()),
    ):
        if text:
            parts.append(f"<h4>{escape(say(language, key))}</h4>")
            parts.append(f'<pre class="mono" tabindex="0">{escape(text)}</pre>')
    return "\n".join(parts)


def listing(workspace: Workspace) -> list[dict[str, Any]]:
    """Every job with its state and command, for programs."""
    return [
        {"id": job.id, "title": job.title, "state": job.state(), "words": list(job.words)}
        for job in workspace.jobs.all()
    ]


def _listing(workspace: Workspace) -> Any:
    def jobs() -> list[dict[str, Any]]:
        """Every job: id, title, state, command."""
        return listing(workspace)

    return jobs


def _watching(workspace: Workspace) -> Any:
    def watch_job(id: str, after: int = 0) -> dict[str, Any]:
        """A job's state and its events from number ``after`` on."""
        from acestep.events import to_json

        job = workspace.jobs.get(id)
        state = job.state()  # before its events: of a job that has ended they are all there
        followed = workspace.following.of(job)
        so_far = list(followed.events)  # another page may read on meanwhile
        events = [to_json(event) for event in so_far[int(after) :]]
        return {"state": state, "events": events, "next": len(so_far)}

    return watch_job


def _acting(workspace: Workspace, name: str) -> Any:
    jobs = workspace.jobs
    actions = {
        "cancel": jobs.cancel,
        "kill": jobs.kill,
        "up": lambda id: jobs.move(id, -1),
        "down": lambda id: jobs.move(id, 1),
        "again": jobs.again,
        "remove": jobs.remove,
    }

    def act(id: str) -> str:
        try:
            actions[name](id.strip())
        except AceStepError as error:
            return problem_html(error)
        return ""

    act.__doc__ = actions[name].__doc__ or f"Move a waiting job {name} the queue by one place."
    return act


def _progress(workspace: Workspace, job: Job, state: State, language: str) -> str:
    match state:
        case "waiting":
            return ""
        case "running":
            return progress_text(workspace.following.of(job), language)
    return workspace.following.last_words(job, language)
