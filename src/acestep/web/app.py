"""The studio's frame: pages in the order of work, one queue behind them."""

import os
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

from acestep.configs.studio import StudioConfig
from acestep.errors import AceStepError, RunError
from acestep.web.safety import Guard, is_address, ours
from acestep.web.theme import CSS, theme
from acestep.web.words import t, translations
from acestep.web.workspace import Workspace

TITLE = "ACE-Step studio"
ADVANCE_SECONDS = 1.0
KEEP_UPLOADS = 24 * 3600  # seconds; what a page wants to keep it moves out of there
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

    forget = (KEEP_UPLOADS // 24, KEEP_UPLOADS)  # how often to look, and from which age on
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=forget) as app:
        with gr.Column(elem_classes="hero"):
            gr.HTML(f"<h1>{TITLE}</h1>", padding=False)
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
        # Gradio reads it whenever it takes in a file: uploads, too, lie below a root
        os.environ["GRADIO_TEMP_DIR"] = str(workspace.state / "uploads")
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
        is_v6 = ":" in config.host and is_address(config.host)
        try:
            _, local, public = self._app.launch(
                server_name=f"[{config.host}]" if is_v6 else config.host,
                server_port=config.port or None,
                auth=(user, password) if config.auth else None,
                share=config.share,
                inbrowser=config.browser,
                prevent_thread_lock=True,
                quiet=True,
                show_error=True,  # an error's words; a traceback goes to the server's own output
                ssr_mode=False,
                enable_monitoring=False,
                run_history=False,
                mcp_server=False,
                allowed_paths=[str(root) for root in self._workspace.roots],
                blocked_paths=[str(self._workspace.jobs.folder)],
                max_file_size=config.max_upload_mb * 1_000_000,
                app_kwargs={"middleware": [Middleware(Guard, is_ours=ours(config))]},
                i18n=gr.I18n(**translations()),
                theme=theme(),
                css=CSS,
                footer_links=[],
                # It has asked itself whether it started, with patience; no second time with none:
                # a machine with too much to do does not answer within three seconds
                _frontend=False,
            )
        except OSError as error:
            raise RunError(
                f"cannot listen on {config.host}:{config.port}: {error}",
                hint="another program may use that port; choose another with --port, or --port 0",
            ) from error
        return public or local

    def _advance(self) -> None:
        """Keep the queue going, whether a page is open or not.

        What keeps a job from starting now (a full disk, no memory) may be over a moment later.
        """
        while not self._closed.wait(ADVANCE_SECONDS):
            with suppress(AceStepError):
                self._workspace.jobs.advance()
