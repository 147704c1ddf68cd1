"""The process that forks workers for all sandboxes, from this side; child.py is the other."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from surefoot.check.sandbox.process import kill_group
from surefoot.errors import InputError

__all__ = ["NO_SANDBOX", "apart", "available", "get_server"]

NO_SANDBOX = "Windows has no fork, so the optimizer gets no process of its own"

_CHILD = "import sys; sys.path[:] = {paths}; from surefoot.check.sandbox import child; child.main()"
STARTS = 120.0  # seconds that importing torch may take, however busy the machine is


def available() -> bool:
    """Whether this system can fork and pass open files, as the sandbox needs."""
    return hasattr(os, "fork") and hasattr(socket, "send_fds")


def apart(optimizer: object, sandbox: bool | None) -> bool:
    """Whether an optimizer, given as a class or named, gets a process of its own.

    Raises:
        InputError: it is to have one, and cannot.
    """
    if sandbox and not isinstance(optimizer, str):
        raise InputError("The sandbox needs the optimizer as file.py:Class or module:Class.")
    if sandbox and not available():
        raise InputError(f"{NO_SANDBOX}; --no-sandbox (sandbox=False) runs it in this one.")
    return isinstance(optimizer, str) and sandbox is not False and available()


class Server:
    """A process that has imported torch, and forks workers."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            paths = [p for p in sys.path if p]
            # not -m, by which a random.py in the current folder would stand for Python's
            command = [sys.executable, "-c", _CHILD.format(paths=paths), str(theirs.fileno())]
            # or macOS ends a forked process that first uses a class of Apple's, as torch may
            mac = {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} if sys.platform == "darwin" else {}
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **mac, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process; the server ends with its socket
            )
        self.control = ours
        self.ready = False
        self.owner = os.getpid()
        self.workers: set[int] = set()

    @property
    def serves(self) -> bool:
        """Whether it can be asked: it runs, and is this process's own."""
        running = self.control.fileno() >= 0 and self.process.poll() is None
        return running and self.owner == os.getpid()

    def fork(self, order: dict[str, Any], files: Sequence[int]) -> int:
        """Start a worker; returns its process id."""
        with _lock:
            served = self.ready
            if pid := self._ask(order, files):
                self.workers.add(int(pid))
                return int(pid)
            if served:  # and has ended since: another takes its place
                return get_server().fork(order, files)
            raise InputError("The sandbox could not be started; --no-sandbox runs without it.")

    def wait(self, pid: int, seconds: float) -> int | None:
        """Return the exit code of a worker, negative for a signal; None if it still runs."""
        with _lock:
            code = self._ask({"wait": pid, "seconds": seconds}) if pid in self.workers else b""
            if code == b"running":
                return None
            self.workers.discard(pid)
            if code:
                return int(code)
        kill_group(pid)  # its server has ended, and so does it
        return -signal.SIGKILL

    def _ask(self, order: dict[str, Any], files: Sequence[int] = ()) -> bytes:
        """Return the answer to an order; nothing if the server has ended, or does not start."""
        answer = b""
        try:
            if not self.ready:
                self.control.settimeout(STARTS)
                self.ready = self.control.recv(5) == b"ready"
                self.control.settimeout(None)
            if self.ready:
                socket.send_fds(self.control, [json.dumps(order).encode()], files)
                answer = self.control.recv(32)
        except OSError:
            return b""
        finally:
            if not answer:  # also where Ctrl-C came between: the next order would get the answer to this one
                self.control.close()
                if not self.ready:
                    self.process.kill()
        return answer

    def close(self) -> None:
        """End the server; it ends by itself when the socket is closed, and its workers with it."""
        self.control.close()
        if self.owner == os.getpid():
            if not self.ready:
                self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
            self.process.kill()


_server: Server | None = None
_lock = threading.RLock()


def get_server() -> Server:
    """Return the server, started if need be: it imports torch meanwhile."""
    global _server
    if _server is None or not _server.serves:
        if _server is not None:  # or it and its socket stay as long as this process
            atexit.unregister(_server.close)
            _server.close()
        _server = Server()
        atexit.register(_server.close)
    return _server
