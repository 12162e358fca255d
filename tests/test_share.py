"""An export on the Hub: all of it, and nothing that is not of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub import TOKEN, Hub

from acestep.adapters.files import read_adapter
from acestep.config import ExportConfig, ShareConfig
from acestep.errors import AdapterError, ConfigError
from acestep.events import Notice, Saved
from acestep.export import export
from acestep.share import exported_files, share

ADAPTER = Path(__file__).parent / "golden" / "adapters" / "upstream_peft_attn_r4_a8"


@pytest.fixture
def hub():
    standin = Hub()
    yield standin
    standin.close()


@pytest.fixture
def lora(tmp_path) -> Path:
    """An export, with a song of the user's and a note of theirs beside it."""
    folder = tmp_path / "my lora"
    list(export(ExportConfig(run=ADAPTER, output=folder, license="cc-by-4.0", consent="mine")))
    (folder / "song.wav").write_bytes(b"RIFF")
    (folder / "notes.md").write_text("private")
    return folder


def acestep(hub: Hub, *words: str, token: str = TOKEN) -> tuple[int, list[dict], str]:
    """Run the command line in a process that knows no other Hub than the stand-in."""
    home = {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "acestep", "share", *words, "--json"],
        env={**os.environ, **home}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_what_was_exported_arrives_and_nothing_else(hub, lora, tmp_path):
    code, events, _ = acestep(hub, str(lora), "me/jazz", "--private", "--message", "first")
    assert code == 0
    assert hub.repos[0]["name"] == "jazz" and hub.repos[0]["visibility"] == "private"
    assert hub.messages == ["first"]
    wanted = {"README.md", "adapter_config.json", "adapter_model.safetensors", "card.json"}
    assert set(hub.files) == wanted
    assert all((lora / name).read_bytes() == content for name, content in hub.files.items())
    assert "license: cc-by-4.0" in hub.files["README.md"].decode()
    assert [event["path"] for event in events if event["event"] == "saved"] == [
        f"{hub.address}/me/jazz"
    ]
    for name, content in hub.files.items():
        (tmp_path / name).write_bytes(content)
    assert read_adapter(tmp_path).weights.keys() == read_adapter(ADAPTER).weights.keys()


def test_a_refusal_is_in_the_servers_words(hub, lora):
    code, events, _ = acestep(hub, str(lora), "me/jazz", token="hf_wrong")
    assert code == 1 and hub.files == {}
    assert events[-1]["error"] == "AdapterError" and "me/jazz" in events[-1]["message"]
    assert "hf auth login" in events[-1]["hint"]


def test_a_server_that_is_not_there(hub, lora):
    hub.close()
    code, events, _ = acestep(hub, str(lora), "me/jazz")
    assert code == 1 and hub.address in events[-1]["message"]


def test_what_nobody_stated_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "lora"
    list(export(ExportConfig(run=ADAPTER, output=folder)))
    monkeypatch.setattr("acestep.adapters.hub.upload", lambda *_, **__: "https://there")
    events = list(share(ShareConfig(adapter=folder, repo="me/jazz")))
    said = [event.message for event in events if isinstance(event, Notice)]
    assert len(said) == 2 and "--license" in said[0] and "--consent" in said[1]
    assert Saved("repository", "https://there") in events


def test_only_a_whole_export_is_shared(lora, tmp_path):
    with pytest.raises(AdapterError, match="not an adapter that acestep export wrote"):
        exported_files(ADAPTER)
    (lora / "README.md").write_text("changed")
    with pytest.raises(AdapterError, match=r"README\.md is missing or was changed"):
        exported_files(lora)


def test_a_card_that_lists_a_song_is_refused(lora):
    record = json.loads((lora / "card.json").read_text())
    from acestep.adapters.publish import _digest

    record["files"]["song.wav"] = _digest(lora / "song.wav")
    (lora / "card.json").write_text(json.dumps(record))
    with pytest.raises(AdapterError, match=r"lists song\.wav"):
        exported_files(lora)


@pytest.mark.parametrize("repo", ["jazz", "a/b/c", "/jazz", "me/", "me/j z", "https://x/y"])
def test_a_repository_has_an_owner_and_a_name(repo):
    with pytest.raises(ConfigError, match="USER/NAME"):
        ShareConfig(adapter=ADAPTER, repo=repo)
