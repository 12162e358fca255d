"""The studio's frame: pages in the order of work, one queue behind them."""

import threading
import time
from importlib import import_module
from typing import Any

from acestep.configs.studio import StudioConfig
from acestep.errors import RunError
from acestep.web.safety import Guard, hosts_of
from acestep.web.theme import CSS, theme
from acestep.web.words import t, translations
from acestep.web.workspace import STATE, Workspace

ADVANCE_SECONDS = 1.0
# (tab, page) in the order of work; a tuple of pages is a tab with tabs in it
PAGES: tuple[tuple[str, str | tuple[tuple[str, str], ...]], ...] = (
    ("service", "service"),
    ("generate", "generate"),
    (
        "training",
        (
            ("dataset", "dataset"),
            ("preprocess", "preprocess"),
            ("train", "train"),
            ("export", "export"),
        ),
    ),
    ("jobs", "jobs"),
)


def build(workspace: Workspace) -> Any:
    """The whole studio as Gradio Blocks."""
    import gradio as gr

    with gr.Blocks(title="ACE-Step studio", analytics_enabled=False) as app:
        with gr.Column(elem_classes="hero"):
            gr.HTML("<h1>ACE-Step studio</h1>")
            gr.Markdown(t("app.tagline"))
        with gr.Tabs(elem_id="pages"):
            for tab, page in PAGES:
                with gr.Tab(t(f"tab.{tab}"), id=tab, elem_id=f"tab-{tab}"):
                    _fill(page, workspace)
    return app


def _fill(page: str | tuple[tuple[str, str], ...], workspace: Workspace) -> None:
    import gradio as gr

    if isinstance(page, str):
        import_module(f"acestep.web.pages.{page}").build(workspace)
        return
    with gr.Tabs(elem_id="steps"):
        for tab, inner in page:
            with gr.Tab(t(f"tab.{tab}"), id=tab, elem_id=f"tab-{tab}"):
                _fill(inner, workspace)


class Server:
    """The studio as it listens; ``address`` is where. Jobs go on when it is closed."""

    def __init__(self, config: StudioConfig, workspace: Workspace) -> None:
        self._closed = threading.Event()
        self._workspace = workspace
        self._app = build(workspace)
        self.address = self._launch(config)
        threading.Thread(target=self._advance, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._app.close(verbose=False)

    def _launch(self, config: StudioConfig) -> str:
        import gradio as gr
        from starlette.middleware import Middleware

        user, _, password = (config.auth or "").partition(":")
        roots = self._workspace.roots
        try:
            _, local, public = self._app.launch(
                server_name=config.host,
                server_port=config.port or None,
                auth=(user, password) if config.auth else None,
                share=config.share,
                inbrowser=config.browser,
                prevent_thread_lock=True,
                quiet=True,
                ssr_mode=False,
                enable_monitoring=False,
                allowed_paths=[str(root) for root in roots],
                blocked_paths=[str(roots[0] / STATE / "jobs")],
                max_file_size=config.max_upload_mb * 1_000_000,
                app_kwargs={"middleware": [Middleware(Guard, hosts=hosts_of(config))]},
                i18n=gr.I18n(**translations()),
                theme=theme(),
                css=CSS,
                footer_links=[],
            )
        except OSError as error:
            raise RunError(
                f"cannot listen on {config.host}:{config.port}: {error}",
                hint="another program may use that port; choose another with --port, or --port 0",
            ) from error
        return public or local

    def _advance(self) -> None:
        """Keep the queue going, whether a page is open or not."""
        while not self._closed.is_set():
            self._workspace.jobs.advance()
            time.sleep(ADVANCE_SECONDS)
