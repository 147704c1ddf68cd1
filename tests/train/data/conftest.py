"""Small IDX files, and a web server on this machine that serves them well or badly."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from surefoot.train.data.published import Published


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file; written out here, that the reader is not tested by its own parts."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def idx():
    return idx_bytes


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """The four files of a data set as small as can be: 50 and 20 images of 28 × 28, labels 0 … 9."""
    random = np.random.RandomState(0)
    made = {}
    for part, n in (("train", 50), ("t10k", 20)):
        made[f"{part}-images-idx3-ubyte"] = random.randint(0, 256, (n, 28, 28)).astype(np.uint8)
        made[f"{part}-labels-idx1-ubyte"] = (np.arange(n) % 10).astype(np.uint8)
    return made


@pytest.fixture
def files(arrays) -> dict[str, bytes]:
    """The same as files, decompressed."""
    return {name: idx_bytes(array) for name, array in arrays.items()}


@pytest.fixture
def folder(tmp_path: Path, files) -> Path:
    """The same in a folder, plain."""
    path = tmp_path / "digits"
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


class Server(ThreadingHTTPServer):
    """Serves the files under one first path segment per behaviour, and counts what it sends."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.gz = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in files.items()}
        self.log: list[tuple[str, str, str | None]] = []  # behaviour, file, Range
        self.sent: dict[str, int] = {}  # file -> bytes
        self.over = threading.Event()

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"

    def asked(self, name: str) -> list[tuple[str, str | None]]:
        return [(behaviour, wanted) for behaviour, file, wanted in self.log if file == name]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of these tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        _, how, name = self.path.split("/")
        wanted = self.headers["Range"]
        self.server.log.append((how, name, wanted))
        if how in ("404", "500", "tiny"):
            self.send_error(500 if how == "tiny" else int(how))
            return
        if how == "silent":
            self.server.over.wait()
            return
        data = self.server.gz[name]
        if how == "corrupt":
            data = data[:20] + bytes(byte ^ 0x55 for byte in data[20:])
        elif how == "wrong":  # a sound gzip file, of something else
            data = gzip.compress(b"something else", mtime=0)
        elif how == "repacked":  # the same contents, other bytes
            data = gzip.compress(gzip.decompress(data), compresslevel=1, mtime=1)
        elif how == "page":
            data = b"<!DOCTYPE html><title>Please sign in</title>"
        start = int(wanted[6:-1]) if wanted and how not in ("norange", "cutsame") else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if how == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if not start:
                self.wfile.write(b"1000\r\n" + data[:4096] + b"\r\n1000\r\n")
            return
        if how != "nolength":
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if how in ("cut", "cutsame"):
            body = body[: (len(body) + 1) // 2]
        elif how == "stall":
            body = b"" if start else body[:4096]
        for at in range(0, len(body), 4096):
            self.wfile.write(body[at : at + 4096])
            self.server.sent[name] = self.server.sent.get(name, 0) + len(body[at : at + 4096])
            if how == "slow":
                time.sleep(0.02)
        self.wfile.flush()
        if how == "stall":
            self.server.over.wait()


@pytest.fixture
def server(files, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server(files)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.over.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(files, server) -> Published:
    """A published data set with one sound mirror."""
    return Published(
        name="tiny",
        mirrors=(server.url("good"),),
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        classes=tuple("0123456789"),
    )
