"""What keeps strangers out: hosts, origins, uploads, and text that must not become markup."""

import ipaddress
import json
import socket
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acestep.configs.studio import StudioConfig
from acestep.data.audio import inspect_audio
from acestep.errors import AceStepError, AudioError, ConfigError

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"SAMEORIGIN",
}
FILES = "/gradio_api/file="  # where Gradio serves files below the roots
# A page among a user's files is shown, but apart: its scripts cannot act as the studio's
APART = {b"content-security-policy": b"sandbox allow-scripts allow-downloads"}
TUNNEL = ".gradio.live"  # where a share link leads through

IsOurs = Callable[[str], bool]


class Guard:
    """ASGI middleware: foreign hosts and foreign pages are refused, answers carry :data:`HEADERS`.

    A page of another site that had its name point here (DNS rebinding) comes with its own name as
    Host; one that only sends requests here comes with its own as Origin. Neither may speak to the
    studio in the user's browser. ``is_ours`` judges the name of a host.
    """

    def __init__(self, app: Any, is_ours: IsOurs) -> None:
        self.app = app
        self.is_ours = is_ours

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or answer it: 421 for the host, 403 for the page it came from."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        extra = {**HEADERS, **(APART if FILES in scope["path"] else {})}

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *extra.items()]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refusal(self, scope: Any) -> tuple[int, bytes] | None:
        """Status and words for a request that is refused."""
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1 or not self.is_ours(host_name(given[0])):
            return 421, b"unknown host"
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if any(not self.is_ours(origin_name(origin)) for origin in origins):
            return 403, b"another site's page may not use the studio"
        address = scope["path"].partition(FILES)[2]
        if "://" in address or scope["path"].startswith("/gradio_api/proxy="):
            return 403, b"the studio fetches nothing from elsewhere"
        return None


async def _refuse(scope: Any, send: Any, status: int, words: bytes) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})


def ours(config: StudioConfig) -> IsOurs:
    """Whether a name is one under which the studio may be asked for.

    Listening on every address (``0.0.0.0``, ``::``) it answers to any address, but to no name
    besides this machine's: a rebound request always comes with a name.
    """
    names = {"127.0.0.1", "localhost", "::1", config.host.strip("[]").lower()}
    everywhere = is_unspecified(config.host)
    if everywhere:
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine}.local", socket.getfqdn().lower()}

    def is_ours(name: str) -> bool:
        if name in names or (config.share and name.endswith(TUNNEL)):
            return True
        return everywhere and is_address(name)

    return is_ours


def is_address(name: str) -> bool:
    """Whether a host is given by its number."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_unspecified(name: str) -> bool:
    """Whether a host to listen on means every address of the machine."""
    name = name.strip("[]")
    return is_address(name) and ipaddress.ip_address(name).is_unspecified


def host_name(given: str) -> str:
    """A Host header without its port, in small letters: ``[::1]:80`` is ``::1``."""
    if given.startswith("["):
        return given[1:].partition("]")[0].lower()
    return given.partition(":")[0].lower()


def origin_name(origin: str) -> str:
    """The host of an Origin header; nothing for ``null``, which a page in a sandbox has."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


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
                [f"{file.name} is neither audio that can be used nor text: {not_audio}"],
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
