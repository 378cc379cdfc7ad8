"""The base model from a hub: the real client against a small hub of our own on this machine, and against its filled cache offline."""

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from components.core.errors import UserError
from components.fetch.kinds import hub

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEADER = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(24)
WHOLE = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
    "pytorch_model.bin": b"pickle",
    "onnx/model.json": b"{}",
}


class OneRepository(BaseHTTPRequestHandler):
    """Answers what the client asks of a hub that holds one repository."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        path = urlsplit(self.path).path
        listing, resolve = f"/api/models/some/model/tree/{COMMIT}", f"/some/model/resolve/{COMMIT}/"
        if path == listing:
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": f"{n:040x}"} for n, (name, data) in enumerate(self.files.items())
            ]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"}, with_body)
        elif path.startswith(resolve) and path.removeprefix(resolve) in self.files:
            name = path.removeprefix(resolve)
            self.asked.append(name)
            etag = f'"{list(self.files).index(name):040x}"'
            self._send(200, self.files[name], {"ETag": etag, "X-Repo-Commit": COMMIT}, with_body)
        else:
            code = "RevisionNotFound" if path.startswith("/api/models/some/model/") else "RepoNotFound"
            self._send(404, b"", {"X-Error-Code": code}, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def address() -> Iterator[str]:
    OneRepository.files, OneRepository.asked = dict(WHOLE), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneRepository)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def stage(folder: Path, repo: str, revision: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The stage as a command, in a folder of its own, with a client cache of its own."""
    (folder / "params.yaml").write_text(f"models: {{fetch: {{base: {{kind: hub, repo: {repo}, revision: {revision}}}}}}}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    settings = {**kept, "PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_XET": "1", **environment}
    command = [sys.executable, "-m", "components.fetch", "fetch.base", "--out", "base", "--metrics", "metrics.json"]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)


def test_a_pinned_revision_becomes_the_base_model_online_then_offline(tmp_path: Path, address: str) -> None:
    online = stage(tmp_path, "some/model", COMMIT, HF_ENDPOINT=address)
    assert online.returncode == 0, online.stderr
    assert {file.name for file in (tmp_path / "base").iterdir()} == set(WHOLE) - {"pytorch_model.bin", "onnx/model.json"}
    assert not {"pytorch_model.bin", "onnx/model.json"} & set(OneRepository.asked)
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"bytes": len(WEIGHTS), "files": 1, "num_parameters": 6}
    assert not any(file.is_symlink() for file in (tmp_path / "base").iterdir())
    (cached,) = (tmp_path / "cache").rglob(f"snapshots/{COMMIT}")
    (cached / "pytorch_model.bin").write_bytes(b"put there by another program")
    offline = stage(tmp_path, "some/model", COMMIT, HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    assert {file.name for file in (tmp_path / "base").iterdir()} == set(WHOLE) - {"pytorch_model.bin", "onnx/model.json"}


@pytest.mark.parametrize(
    ("repo", "revision", "says"),
    [
        ("some/other", COMMIT, "the hub has no some/other"),
        ("some/model", COMMIT.replace("0", "f"), "some/model has no commit f"),
        ("some/mo del", COMMIT, "the hub has no some/mo del"),
        ("null", COMMIT, "models.fetch.base.repo: Input should be a valid string"),
        ("some/model", "main", "'main' does not pin some/model; write the full commit hash"),
        ("some/model", "null", "None does not pin some/model"),
    ],
)
def test_what_cannot_be_fetched_is_named_with_its_cure(repo: str, revision: str, says: str, tmp_path: Path, address: str) -> None:
    ran = stage(tmp_path, repo, revision, HF_ENDPOINT=address)
    assert ran.returncode == 1
    *_, last = ran.stderr.splitlines()
    assert last.startswith("error: ")
    assert says in last
    assert not (tmp_path / "base").exists()


def test_without_a_network_the_cache_is_named(tmp_path: Path) -> None:
    ran = stage(tmp_path, "some/model", COMMIT, HF_HUB_OFFLINE="1")
    assert ran.returncode == 1
    assert "is not in the local cache and the hub cannot be reached" in ran.stderr


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no safetensors weights (pickled ones are not loaded)"),
        ("tokenizer.json", "no tokenizer:"),
        ("tokenizer_config.json", "no tokenizer_config.json"),
    ],
)
def test_an_unusable_repository_is_refused(lacking: str, says: str, tmp_path: Path) -> None:
    for name, data in WHOLE.items():
        if name != lacking and "/" not in name:
            (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as raised:
        hub._check(tmp_path, "some/model")
    assert says in str(raised.value)


def test_a_repository_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    for name, data in {**WHOLE, "tokenizer_config.json": b"{}"}.items():
        if "/" not in name:
            (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match="no chat template"):
        hub._check(tmp_path, "some/model")
