import json
import os
import shutil
import threading
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from acestep.errors import ModelError
from acestep.model import find
from acestep.model.find import (
    KNOWN,
    MAIN_REPO,
    find_folder,
    find_model,
    list_models,
    packaged_folder,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TURBO = "acestep-v15-turbo"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch, tmp_path):
    """No models of this machine, no network: an empty Hub cache and a Hub that does not answer."""
    monkeypatch.delenv("ACESTEP_MODELS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def cache(tmp_path: Path, repo: str, *sources: tuple[Path, str]) -> Path:
    """A repository in the Hub cache, its files copied from (folder, name inside)."""
    place = tmp_path / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    for source, inside in sources:
        shutil.copytree(source, snapshot / inside, dirs_exist_ok=True)
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


def upstream(part: str) -> Path:
    return GOLDEN / "upstream_tiny" / part


COMPANIONS = [(upstream(part), part) for part in ("vae", "Qwen3-Embedding-0.6B")]


def test_mini_is_the_default_and_needs_nothing():
    model = find_model()
    assert (model.name, model.variant, model.source) == ("mini", "turbo", "mini")
    assert model.path == packaged_folder() and find_model("mini") == model


def test_names_are_looked_up_in_the_folders_of_the_environment(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    shutil.copytree(GOLDEN / "upstream_tiny", second)
    monkeypatch.setenv("ACESTEP_MODELS", f"{first}{os.pathsep}{second}")
    model = find_model(TURBO)
    assert model.path == second / TURBO and model.source == TURBO
    shutil.copytree(second / TURBO, first / "my-finetune")  # its companions are in the other one
    assert find_model("my-finetune").vae_folder == second / "vae"
    rows = {row.name: row for row in list_models()}
    assert rows["my-finetune"].present and rows[TURBO].present


def test_an_incomplete_model_in_the_environment_is_an_error_not_a_miss(tmp_path, monkeypatch):
    shutil.copytree(GOLDEN / "upstream_tiny", tmp_path / "models")
    (tmp_path / "models" / TURBO / "silence_latent.pt").unlink()
    monkeypatch.setenv("ACESTEP_MODELS", str(tmp_path / "models"))
    with pytest.raises(ModelError, match="silence_latent.pt"):
        find_model(TURBO)
    row = next(row for row in list_models() if row.name == TURBO)
    assert not row.present and "silence_latent.pt" in row.problem


def test_the_hub_cache_is_read_without_network(tmp_path):
    cache(tmp_path, MAIN_REPO, (upstream(TURBO), TURBO), *COMPANIONS)
    cache(tmp_path, "ACE-Step/acestep-v15-sft", (upstream(TURBO), "."))
    cache(tmp_path, "somebody/tiny-diffusers", (GOLDEN / "diffusers_tiny", "."))
    turbo = find_model(TURBO, download=False)
    assert turbo.path.name == TURBO and turbo.name == TURBO
    sft = find_model("acestep-v15-sft", download=False)
    assert sft.vae_folder == turbo.vae_folder and sft.fingerprint == turbo.fingerprint
    assert find_model("somebody/tiny-diffusers", download=False).layout == "diffusers"
    assert find_model(MAIN_REPO, download=False).path == turbo.path
    present = {row.name for row in list_models() if row.present}
    assert present == {"mini", TURBO, "acestep-v15-sft", "somebody/tiny-diffusers"}


@pytest.mark.parametrize("name", [TURBO, "acestep-v15-xl-sft", "somebody/something"])
def test_without_network_the_error_says_what_was_tried_and_what_to_download(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("ACESTEP_MODELS", str(tmp_path / "models"))
    for download in (True, False):
        with pytest.raises(ModelError) as caught:
            find_model(name, download=download)
        said, hint = str(caught.value), caught.value.hint
        assert str(tmp_path / "models" / name) in said
        repo = MAIN_REPO if name == TURBO else f"ACE-Step/{name}" if name in KNOWN else name
        assert str(tmp_path / "hub" / f"models--{repo.replace('/', '--')}") in said
        assert f"huggingface.co/{repo}" in hint and "ACESTEP_MODELS" in hint
        assert ("could not be downloaded" in said) == download


def test_an_unset_environment_is_said():
    with pytest.raises(ModelError, match=r"\$ACESTEP_MODELS \(not set\)"):
        find_model(TURBO, download=False)


def test_an_incomplete_cache_without_network_names_the_file(tmp_path):
    snapshot = cache(tmp_path, MAIN_REPO, (upstream(TURBO), TURBO), *COMPANIONS)
    (snapshot / "vae" / "config.json").unlink()
    with pytest.raises(ModelError, match="vae/config.json"):
        find_model(TURBO)


@pytest.mark.parametrize("name", ["acestep-v15-turbp", "no such thing", "./nowhere", "a/b/c"])
def test_unknown_names_are_refused_with_a_suggestion(name):
    with pytest.raises(ModelError, match="there is no base model") as caught:
        find_model(name)
    assert "acestep-v15-turbo" in caught.value.hint


def test_a_file_is_not_a_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file"):
        find_model(str(tmp_path / "model.safetensors"))


def test_the_list_has_every_known_model():
    rows = list_models()
    assert [row.name for row in rows] == ["mini", *KNOWN]
    assert rows[0].present and rows[0].size > 10e6
    assert not any(row.present or row.problem for row in rows[1:])


class Hub(BaseHTTPRequestHandler):
    """The few requests of the Hub's protocol that a download makes, over folders."""

    repos: dict[str, dict[str, Path]] = {}
    sent: list[str] = []

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        for repo, files in self.repos.items():
            if path == f"api/models/{repo}/revision/main":
                return self.reply(json.dumps({"id": repo, "sha": COMMIT}).encode())
            if path == f"api/models/{repo}/tree/{COMMIT}":
                tree = [self.entry(name, file) for name, file in files.items()]
                return self.reply(json.dumps(tree).encode())
            name = path.removeprefix(f"{repo}/resolve/{COMMIT}/")
            if name in files:
                if self.command == "GET":
                    self.sent.append(name)
                return self.reply(files[name].read_bytes())
        return self.reply(b"", 404)

    do_HEAD = do_GET

    @staticmethod
    def entry(name, file):
        data = file.read_bytes()
        return {"type": "file", "path": name, "size": len(data), "oid": sha1(data).hexdigest()}

    def reply(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(Hub, "repos", {})
    monkeypatch.setattr(Hub, "sent", [])
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_takes_what_is_needed_and_no_code_or_pickles(hub, tmp_path):
    extra = tmp_path / "extra"
    extra.write_bytes(b"import os")
    files = {
        str(file.relative_to(GOLDEN / "upstream_tiny")): file
        for file in sorted((GOLDEN / "upstream_tiny").rglob("*"))
        if file.is_file()
    }
    unwanted = {
        f"{TURBO}/modeling_acestep_v15_turbo.py": extra,
        f"{TURBO}/pytorch_model.bin": extra,
        "vae/diffusion_pytorch_model.bin": extra,
        "acestep-5Hz-lm-1.7B/model.safetensors": extra,
        "README.md": extra,
    }
    hub.repos[MAIN_REPO] = files | unwanted
    hub.repos["ACE-Step/acestep-v15-base"] = {
        name.removeprefix(f"{TURBO}/"): file
        for name, file in (files | unwanted).items()
        if name.startswith(TURBO)
    }
    model = find_model("acestep-v15-base")
    assert model.fingerprint == find_model(str(GOLDEN / "upstream_tiny" / TURBO)).fingerprint
    assert find_model(TURBO).fingerprint == model.fingerprint
    assert set(hub.sent) == set(files) | {name.split("/")[1] for name in files if TURBO in name}
    hub.sent.clear()
    assert find_model("acestep-v15-base").path == model.path and hub.sent == []


def test_a_damaged_cache_is_completed_by_a_download(hub, tmp_path):
    hub.repos["somebody/tiny"] = {
        str(file.relative_to(GOLDEN / "diffusers_tiny")): file
        for file in (GOLDEN / "diffusers_tiny").rglob("*")
        if file.is_file()
    }
    planner = "acestep-5Hz-lm-1.7B/model.safetensors"
    hub.repos["somebody/tiny"][planner] = upstream("vae/config.json")
    first = find_model("somebody/tiny")
    assert planner not in hub.sent
    (first.path / "vae" / "config.json").unlink()
    hub.sent.clear()
    assert find_model("somebody/tiny") == first
    assert hub.sent in ([], ["vae/config.json"])  # linked again, or fetched again


def test_a_repository_of_something_else_is_refused(hub, tmp_path):
    hub.repos["somebody/else"] = {
        "config.json": upstream("vae") / "config.json",
        "model.safetensors": upstream("vae") / "diffusion_pytorch_model.safetensors",
    }
    with pytest.raises(ModelError, match="not acestep"):
        find_model("somebody/else")
    assert hub.sent == ["config.json"]


NEEDS = ("config.json", "tokenizer.json")


def text_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in (*NEEDS, "model.safetensors", "modeling.py"):
        (folder / name).write_bytes(b"{}")
    return folder


def test_other_models_are_found_by_path_by_name_and_in_the_cache(tmp_path, monkeypatch):
    folder = text_model(tmp_path / "models" / "acestep-5Hz-lm-4B")
    assert find_folder(str(folder), "", "", NEEDS) == folder
    assert find_folder(folder.name, "", "", NEEDS) is None
    monkeypatch.setenv("ACESTEP_MODELS", f"{tmp_path / 'none'}{os.pathsep}{folder.parent}")
    assert find_folder(folder.name, "", "", NEEDS) == folder
    snapshot = cache(tmp_path, "someone/lm", (folder, "."))
    assert find_folder("someone/lm", "", "", NEEDS) == snapshot
    inside = cache(tmp_path, MAIN_REPO, (folder, "lm-1.7B")) / "lm-1.7B"
    assert find_folder("lm-1.7B", MAIN_REPO, "lm-1.7B", NEEDS) == inside
    assert find_folder("lm-9B", MAIN_REPO, "lm-9B", NEEDS) is None


def test_other_models_are_downloaded_for_a_hub_id_alone(tmp_path, monkeypatch):
    asked = []

    def download(repo, *, allow_patterns, local_files_only=False):
        asked.append((repo, local_files_only))
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        return str(text_model(tmp_path / "snapshot"))

    monkeypatch.setattr(find, "snapshot_download", download)
    assert find_folder("acestep-5Hz-lm-4B", "ACE-Step/acestep-5Hz-lm-4B", "", NEEDS) is None
    assert asked == [("ACE-Step/acestep-5Hz-lm-4B", True)]
    assert find_folder("someone/lm", "", "", NEEDS) == tmp_path / "snapshot"
    assert asked[1:] == [("someone/lm", True), ("someone/lm", False)]


def test_a_download_that_fails_is_an_error():
    with pytest.raises(ModelError, match="someone/lm could not be downloaded"):
        find_folder("someone/lm", "", "", NEEDS)


def test_a_file_is_no_folder_of_a_model(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file"):
        find_folder(str(tmp_path / "model.bin"), "", "", NEEDS)
