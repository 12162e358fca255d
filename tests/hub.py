"""A stand-in for the Hugging Face Hub on this machine: repositories, LFS, commits.

It speaks as much of the protocol as ``HfApi.create_commit`` uses, and keeps what it was sent.
"""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "hf_standin"


class Hub:
    """``files`` are the contents by path in the repository, ``repos`` what was asked to be made."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.repos: list[dict] = []
        self.messages: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def create(self, body: bytes) -> dict:
        self.repos.append(json.loads(body))
        return {"url": f"{self.address}/me/{self.repos[-1]['name']}"}

    def preupload(self, body: bytes) -> dict:
        return {"files": [_mode(file["path"]) for file in json.loads(body)["files"]]}

    def batch(self, body: bytes) -> dict:
        def upload(item: dict) -> dict:
            href = f"{self.address}/lfs/{item['oid']}"
            return {**item, "actions": {"upload": {"href": href, "header": {}}}}

        return {"transfer": "basic", "objects": [upload(o) for o in json.loads(body)["objects"]]}

    def commit(self, body: bytes) -> dict:
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            match entry["key"]:
                case "header":
                    self.messages.append(value["summary"])
                case "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    self.files[value["path"]] = self.objects[value["oid"]]
        address = f"{self.address}/me/x/commit/0"
        return {"success": True, "commitOid": "0" * 40, "commitUrl": address}


class Handler(BaseHTTPRequestHandler):
    """One request to a hub."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args) -> None:
        pass

    def do_PUT(self) -> None:  # noqa: N802
        body = self.body()
        self.hub.objects[hashlib.sha256(body).hexdigest()] = body
        self.answer({})

    def do_POST(self) -> None:  # noqa: N802
        body = self.body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid username or password."}, 401)
            return
        for path, answer in (
            ("/api/validate-yaml", lambda _: {"errors": [], "warnings": []}),
            ("/api/repos/create", self.hub.create),
            ("/preupload/", self.hub.preupload),
            ("/objects/batch", self.hub.batch),
            ("/commit/", self.hub.commit),
        ):
            if path in self.path:
                self.answer(answer(body))
                return
        self.answer({"error": f"not known here: {self.path}"}, 404)

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, value: dict, code: int = 200) -> None:
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _mode(path: str) -> dict:
    mode = "lfs" if path.endswith(".safetensors") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False}
