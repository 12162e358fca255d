"""What keeps strangers out: hosts, uploads, and text that must not become markup."""

import json
from html import escape
from pathlib import Path
from typing import Any

from acestep.configs.studio import StudioConfig
from acestep.data.audio import inspect_audio
from acestep.errors import AceStepError, AudioError, ConfigError

# Gradio's own pages load nothing from elsewhere; these say so to the browser
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
}


class Guard:
    """ASGI middleware: requests with a foreign Host are refused, answers carry :data:`HEADERS`.

    A page of another site that had its name point here (DNS rebinding) would otherwise speak to
    the studio in the user's browser.
    """

    def __init__(self, app: Any, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or answer it with 421."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1 or host_name(given[0].decode("latin-1")) not in self.hosts:
            await _refuse(scope, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self.app(scope, receive, with_headers)


async def _refuse(scope: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": b"unknown host"})


def hosts_of(config: StudioConfig) -> tuple[str, ...]:
    """Names under which the studio may be asked for."""
    local = ("127.0.0.1", "localhost", "::1")
    return local if config.is_local else (*local, config.host)


def host_name(given: str) -> str:
    """A Host header without its port, in small letters: ``[::1]:80`` is ``::1``."""
    if given.startswith("["):
        return given[1:].partition("]")[0].lower()
    return given.partition(":")[0].lower()


def check_upload(file: Path) -> str:
    """What an uploaded file is by its content: ``audio``, ``dataset`` or ``text``.

    Raises ``ConfigError`` for anything else; the name it came with is never trusted.
    """
    try:
        inspect_audio(file)
        return "audio"
    except AudioError as not_audio:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                [f"{file.name} is neither audio that can be read nor text: {not_audio}"],
                hint="upload WAV, MP3, FLAC, Ogg or Opus, a dataset's JSON, or sidecar texts",
            ) from not_audio
    try:
        return "dataset" if isinstance(json.loads(text), dict | list) else "text"
    except ValueError:
        return "text"


def problem_html(error: AceStepError | tuple[str, str]) -> str:
    """An error for a person: what is wrong and what to do, as markup that holds no markup of it."""
    message, hint = error if isinstance(error, tuple) else (str(error), error.hint)
    lines = "<br>".join(escape(line) for line in message.splitlines())
    advice = f'<div class="hint">→ {escape(hint)}</div>' if hint else ""
    return f'<div class="problem" role="alert">{lines}{advice}</div>'
