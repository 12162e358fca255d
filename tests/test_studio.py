"""``acestep studio``: who may enter, and how it begins and ends."""

import json
import signal
import socket
import subprocess
import sys

import pytest
from studio_server import running_studio, start_studio

from acestep.config import StudioConfig
from acestep.errors import ConfigError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_this_machine_nobody_has_to_log_in(host):
    assert StudioConfig(host=host).is_local


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"host": "0.0.0.0"}, "--auth"), ({"host": "192.168.1.2"}, "--auth"),
        ({"host": "::"}, "--auth"), ({"host": "example.org"}, "--auth"),
        ({"share": True}, "--auth"), ({"auth": "me"}, "--auth"), ({"auth": ":"}, "--auth"),
        ({"auth": "me:"}, "--auth"), ({"host": "0.0.0.0", "auth": "me"}, "--auth"),
        ({"port": 70_000}, "--port"), ({"max_upload_mb": 0}, "--max-upload-mb"),
    ],
)  # fmt: skip
def test_elsewhere_they_do(values, flag):
    with pytest.raises(ConfigError, match=flag):
        StudioConfig(**values)


def test_with_a_password_it_may_be_reached_from_elsewhere():
    config = StudioConfig(host="0.0.0.0", auth="me:pass:word", share=True)
    assert not config.is_local and config.auth == "me:pass:word"


def run(*flags: str) -> tuple[int, list[dict], str]:
    words = [sys.executable, "-m", "acestep", "studio", *flags, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_folder_that_is_not_there_is_said(tmp_path):
    code, (failed,), errors = run("--root", str(tmp_path / "no"))
    assert code == 2 and failed["error"] == "ConfigError" and "no such folder" in failed["message"]
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, (failed,), errors = run("--root", str(tmp_path), "--port", port)
    assert code == 1 and failed["error"] == "RunError" and port in failed["message"]
    assert failed["hint"] and "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_asked_to(tmp_path, number):
    studio = start_studio(tmp_path)
    assert studio.stop(number) == 0
    assert studio.process.stdout is not None
    events = [json.loads(line) for line in studio.process.stdout]
    assert events[-1]["event"] == "finished"
    assert "Traceback" not in (tmp_path / "studio.log").read_text()


def test_who_does_not_log_in_sees_nothing(tmp_path):
    import httpx

    (tmp_path / "song.txt").write_text("secret")
    patient = httpx.Client(timeout=120)
    with running_studio(tmp_path, "--auth", "me:pass:word") as studio, patient as client:
        base = studio.url.rstrip("/")
        paths = ("/config", "/gradio_api/info", f"/gradio_api/file={tmp_path}/song.txt")
        assert {path: client.get(base + path).status_code for path in paths} == dict.fromkeys(
            paths, 401
        )
        wrong = {"username": "me", "password": "pass"}
        assert client.post(f"{base}/login", data=wrong).status_code == 400
        right = {"username": "me", "password": "pass:word"}
        assert client.post(f"{base}/login", data=right).status_code == 200
        assert client.get(base + paths[2]).text == "secret"
