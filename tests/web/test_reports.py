"""The evaluation's report in a frame of its own."""

import pytest
from evaluations import HOSTILE, evaluation

from acestep.judging.report import write_report
from acestep.web.reports import report_html
from acestep.web.workspace import Workspace


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run that was evaluated, with texts that would like to be markup."""
    root = tmp_path_factory.mktemp("studio")
    folder = root / "runs" / "jazz" / "evaluation"
    folder.mkdir(parents=True)
    write_report(folder, evaluation(folder, text=HOSTILE, prompts=2))
    return root


def test_the_page_is_framed_and_reaches_nothing_of_the_studio(root):
    html = report_html(Workspace.open([root]), "runs/jazz")
    frame = html[html.index("<iframe") :]
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "<script" not in html and "<img" not in html
    assert "&lt;!doctype html&gt;" in frame


def test_without_an_evaluation_there_is_nothing(root, tmp_path):
    workspace = Workspace.open([root])
    assert report_html(workspace, "runs") == ""
    assert 'role="alert"' in report_html(workspace, "../elsewhere")
    broken = root / "runs" / "broken" / "evaluation"
    broken.mkdir(parents=True)
    (broken / "report.json").write_text("{")
    assert 'role="alert"' in report_html(workspace, "runs/broken")
