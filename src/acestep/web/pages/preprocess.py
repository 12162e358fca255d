"""The preprocess page."""

from acestep.web.workspace import Workspace


def build(workspace: Workspace) -> None:
    """Lay the page out in the open tab."""
