"""The evaluation's report inside the studio."""

from html import escape

from acestep.errors import AceStepError
from acestep.judging.report import read_report
from acestep.web.safety import problem_html
from acestep.web.workspace import Workspace

REPORT, DATA = "report.html", "report.json"


def report_html(workspace: Workspace, run: str) -> str:
    """The report of the run in a folder: its headline, and the page in a frame of its own.

    The frame is sandboxed: the page's script runs, and reaches nothing of the studio. Empty where
    the run was not evaluated.
    """
    try:
        place = workspace.path(run) / "evaluation"
        if not (place / DATA).exists():
            return ""
        headline = str(read_report(place)["verdict"]["headline"])
        page = (place / REPORT).read_text(encoding="utf-8")
    except AceStepError as error:
        return problem_html(error)
    except OSError as error:
        said = f"{place / REPORT} cannot be read: {error.strerror}"
        return problem_html((said, "evaluate again"))
    where = f'<span class="quiet">{escape(str(place))}</span>'
    return (
        f'<div class="good">{escape(headline)} {where}</div>'
        f'<iframe class="report" title="{escape(headline)}" '
        f'sandbox="allow-scripts allow-downloads" srcdoc="{escape(page)}"></iframe>'
    )
