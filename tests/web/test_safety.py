"""Strangers stay out: hosts, origins, uploads, and names that would be markup."""

import asyncio
import shutil

import numpy as np
import pytest
import soundfile

from acestep.config import StudioConfig
from acestep.errors import ConfigError
from acestep.web.safety import Guard, check_upload, host_name, ours, problem_html

LOCAL = StudioConfig()
EVERYWHERE = StudioConfig(host="0.0.0.0", auth="a:b")
SHARED = StudioConfig(share=True, auth="a:b")
NAMED = StudioConfig(host="music.example", auth="a:b")


def ask(config: StudioConfig, path: str = "/", kind: str = "http", **headers: str) -> list[dict]:
    """What the guard sends for a request; the app behind it answers 200 to everything."""
    sent: list[dict] = []

    async def app(scope, receive, send):
        if kind == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
        await send({"type": "http.response.body", "body": b"secret"})

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "path": path, "headers": pairs}
    asyncio.run(Guard(app, ours(config))(scope, None, send))
    return sent


def status(*arguments, **headers: str) -> int:
    return ask(*arguments, **headers)[0]["status"]


@pytest.mark.parametrize(
    ("config", "good", "bad"),
    [
        (LOCAL, ["127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:80"],
         ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "[",
          "evil.example:127.0.0.1", "127.0.0.1@evil.example", "[::2]", "x.gradio.live"]),
        (EVERYWHERE, ["192.168.1.7:7860", "[fe80::1]:7860", "localhost"],
         ["evil.example", "7.evil.example", "x.gradio.live"]),
        (SHARED, ["abc.gradio.live", "127.0.0.1:7860"], ["gradio.live.evil.example", "10.0.0.1"]),
        (NAMED, ["music.example", "Music.Example:80"], ["evil.example", "192.168.1.7"]),
    ],
)  # fmt: skip
def test_only_our_own_hosts_are_answered(config, good, bad):
    assert {host: status(config, host=host) for host in good} == dict.fromkeys(good, 200)
    assert {host: status(config, host=host) for host in bad} == dict.fromkeys(bad, 421)
    refused = ask(config, host=bad[0])
    assert b"secret" not in b"".join(message.get("body", b"") for message in refused)


def test_a_request_without_a_host_or_with_two_is_refused():
    assert status(LOCAL) == 421
    pairs = [(b"host", b"localhost"), (b"host", b"evil.example")]
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": pairs}
    asyncio.run(Guard(None, ours(LOCAL))(scope, None, send))
    assert sent[0]["status"] == 421


def test_pages_of_other_sites_may_not_ask():
    for origin in (
        "http://evil.example",
        "null",
        "https://127.0.0.1.evil.example",
        "http://[",
        "x",
    ):
        assert status(LOCAL, "/gradio_api/upload", host="localhost", origin=origin) == 403
    for origin in ("http://127.0.0.1:7860", "http://localhost:7860", "http://[::1]:7860"):
        assert status(LOCAL, host="localhost", origin=origin) == 200


def test_sockets_of_strangers_are_closed():
    assert ask(LOCAL, "/", "websocket", host="evil.example")[0]["type"] == "websocket.close"
    assert ask(LOCAL, "/", "websocket", host="localhost", origin="http://evil.example") == [
        {"type": "websocket.close", "code": 1008}
    ]
    assert ask(LOCAL, "/", "websocket", host="localhost")[0]["type"] == "websocket.accept"


def test_nothing_is_fetched_for_others():
    for path in ("/gradio_api/file=http://evil.example/x", "/gradio_api/proxy=http://evil.example"):
        assert status(LOCAL, path, host="localhost") == 403
    assert status(LOCAL, "/gradio_api/file=/songs/a http.wav", host="localhost") == 200


def test_answers_tell_the_browser_to_be_careful():
    plain = dict(ask(LOCAL, "/", host="localhost")[0]["headers"])
    assert plain[b"x-content-type-options"] == b"nosniff" and plain[b"x-app"] == b"1"
    assert b"content-security-policy" not in plain
    file = dict(ask(LOCAL, "/gradio_api/file=/r/page.html", host="localhost")[0]["headers"])
    assert b"sandbox" in file[b"content-security-policy"]
    assert b"allow-same-origin" not in file[b"content-security-policy"]


@pytest.mark.parametrize(
    ("given", "name"),
    [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", ""), (":80", "")],
)
def test_names_of_hosts(given, name):
    assert host_name(given) == name


def test_uploads_are_known_by_their_content(tmp_path):
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.ones((48_000, 2), "float32"), 48_000)
    shutil.copy(tmp_path / "tone.wav", tmp_path / "tone.json")
    assert check_upload(tmp_path / "tone.wav") == "audio"
    assert check_upload(tmp_path / "tone.json") == "audio"
    (tmp_path / "d.wav").write_text('{"samples": []}', encoding="utf-8")
    (tmp_path / "l.txt").write_text("[Verse]\n오늘", encoding="utf-8")
    assert check_upload(tmp_path / "d.wav") == "dataset"
    assert check_upload(tmp_path / "l.txt") == "text"


@pytest.mark.parametrize(
    "content", [b"\x7fELF\x02\x01\x01" + bytes(range(256)), b"RIFF\xff\xff\xff\xffWAVE\x80",
                b"PK\x03\x04\xff\xfe\x00\x00", bytes(range(128, 256))]
)  # fmt: skip
def test_what_is_neither_sound_nor_text_is_refused(tmp_path, content):
    (tmp_path / "song.wav").write_bytes(content)
    with pytest.raises(ConfigError, match=r"song\.wav is neither") as caught:
        check_upload(tmp_path / "song.wav")
    assert caught.value.hint


def test_an_error_shows_no_markup_of_its_own():
    evil = "<img src=x onerror=\"alert(1)\">\n'second' & line"
    html = problem_html((evil, "<b>"))
    assert "<img" not in html and "<b>" not in html
    assert "&lt;img" in html and "<br>" in html and 'role="alert"' in html
    assert problem_html(ConfigError(["one", "two"], hint="three")).count("one<br>two") == 1
