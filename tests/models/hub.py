"""A small server that speaks as much of the Hugging Face hub as fetching takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "1" * 40
OLDER = "2" * 40


@dataclass
class Hub:
    """One repository, ``owner/model``, at two commits."""

    files: dict[str, bytes]
    older: dict[str, bytes] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)
    """Files whose next download breaks off half way."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the true ones."""
    ranges: list[str] = field(default_factory=list)
    """The ranges that were asked for."""
    url: str = ""

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        return {
            "main": (COMMIT, self.files),
            COMMIT: (COMMIT, self.files),
            "v1": (OLDER, self.older),
            OLDER: (OLDER, self.older),
        }.get(revision)


@contextmanager
def hub(files: dict[str, bytes], **more: Any) -> Iterator[Hub]:
    """It runs inside the block."""
    state = Hub(files, **more)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            return None

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            if path[:2] == ["api", "models"]:
                self._info(path[2:])
            elif path[:2] == ["owner", "model"] and path[2] == "resolve" and (found := state.at(path[3])):
                self._file(found, "/".join(path[4:]), body)
            else:
                self._missing("RepoNotFound")

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _info(self, path: list[str]) -> None:
            if path[:2] != ["owner", "model"]:
                return self._missing("RepoNotFound")
            found = state.at(path[3] if len(path) > 3 else "main")
            if found is None:
                return self._missing("RevisionNotFound")
            commit, files = found
            if path[2:3] == ["tree"]:
                return self._json(
                    [{"type": "file", "path": n, "size": len(d), "oid": _tag(d)} for n, d in files.items()]
                )
            siblings = [
                {"rfilename": name, "size": state.sizes.get(name, len(data)), "blobId": _tag(data)}
                for name, data in files.items()
            ]
            self._json({"id": "owner/model", "modelId": "owner/model", "sha": commit, "siblings": siblings})

        def _json(self, value: Any) -> None:
            text = json.dumps(value)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def _file(self, found: tuple[str, dict[str, bytes]], name: str, body: bool) -> None:
            commit, files = found
            if name not in files:
                return self._missing("EntryNotFound")
            data, start = files[name], 0
            if wanted := self.headers.get("Range"):
                state.ranges.append(wanted)
                start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{_tag(data)}"')
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if body and name in state.cuts:
                state.cuts.remove(name)
                self.wfile.write(data[start : (start + len(data)) // 2])
                self.close_connection = True
            elif body:
                self.wfile.write(data[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _tag(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
