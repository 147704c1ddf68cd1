"""The other side of the sandbox: a process that imports torch once, and forks.

The server never runs the user's code. Each worker, forked from it, loads one optimizer and answers
questions about it over a socket, a line of JSON for a line of JSON; the server says how it ended. Nothing is
judged here.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import asdict
from typing import Any

from surefoot.check.sandbox.patched import Watch
from surefoot.check.sandbox.process import kill, kill_group
from surefoot.frames import quick_frames

OUTPUT_LIMIT = 1 << 20  # bytes that a worker may print
FILE_LIMIT = 1 << 26  # bytes of any file that it may write
TRIAL = 20.0  # seconds for a first step
LONGEST = 600  # seconds for one answer, should the parent die without a word; waiting, its end is noticed


def serve(control: socket.socket) -> None:
    """Fork a worker for each order, and say how each one ended."""
    gc.disable()  # what importing makes stays: no collection need look at it, now or in a worker
    with quick_frames():
        import torch
        import torch._dynamo  # the first step() of any optimizer imports it

    import surefoot.check.subject.patient
    import surefoot.trace.plain  # noqa: F401  (what a worker needs is imported before it is forked)

    torch.set_num_threads(1)
    torch.ones(2).sum()
    gc.freeze()
    gc.enable()
    if sys.platform == "darwin" and not _forks():
        return  # rather than call every optimizer wrong
    workers: set[int] = set()
    try:
        control.sendall(b"ready")
        _orders(control, workers)
    except ConnectionError:
        return  # whom it served is gone
    finally:
        for pid in workers:
            kill(pid)


def _orders(control: socket.socket, workers: set[int]) -> None:
    """Do what is ordered until the orders end; `workers` are those that may still run."""
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1 << 20, 2)
        if not message:
            return
        order = json.loads(message)
        if "wait" in order:
            code = _wait(order["wait"], order["seconds"], control)
            if code != "running":
                workers.discard(order["wait"])
            control.sendall(str(code).encode())
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            with contextlib.suppress(BaseException):
                work(fds[0], fds[1], order)
            os._exit(0)
        workers.add(pid)
        for fd in fds:
            os.close(fd)
        control.sendall(str(pid).encode())


def _forks() -> bool:
    """Whether a forked process can take a step: Apple's libraries may end one, or keep it waiting."""
    import torch

    pid = os.fork()
    if pid == 0:
        os.setsid()
        with contextlib.suppress(BaseException):
            torch.manual_seed(0)
            w = torch.nn.Parameter(torch.ones(64, 64))
            (w @ w).sum().backward()  # type: ignore[no-untyped-call]
            torch.optim.Adam([w]).step()
            os._exit(0)
        os._exit(1)
    ended = _wait(pid, TRIAL)
    if ended == "running":
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return ended == 0


def _wait(pid: int, seconds: float, control: socket.socket | None = None) -> int | str:
    """Wait for a worker to end; return its exit code, negative for a signal, or "running".

    Nothing is ordered meanwhile: what `control` has to say is that nobody waits any more.
    """
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            kill_group(pid)  # whatever the worker started
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return "running"
        if select.select([control] if control else [], [], [], 0.002)[0]:
            return "running"


def work(questions: int, output: int, order: dict[str, Any]) -> None:
    """Load an optimizer, then answer until the questions end."""
    os.setsid()
    _limit(order["memory"])
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["folder"])
    sys.path[:] = order["path"]
    with socket.socket(fileno=questions) as connection:
        lines = connection.makefile("r", encoding="utf-8")
        answerer = _Answerer()
        for line in lines:
            signal.alarm(LONGEST)
            question = json.loads(line)
            answer = answerer.answer(question)
            signal.alarm(0)
            with contextlib.suppress(AttributeError, ValueError):  # an optimizer may have closed it
                sys.stdout.flush()
            connection.sendall(json.dumps({**answer, "id": question["id"]}).encode() + b"\n")


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(OSError, ValueError):  # no /proc, or a system that does not limit address space
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))


class _Answerer:
    """One loaded optimizer, and a watch on what it replaces."""

    def __init__(self) -> None:
        self.patient: Any = None
        self.watch = Watch()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        from surefoot.check.protocol import Raised
        from surefoot.check.subject.patient import NO_THREAD, describe
        from surefoot.errors import InputError, headline, said

        try:
            return {"answer": self._answer(question), "patched": self.watch.patched()}
        except InputError as error:
            return {"input_error": str(error)}
        except Raised as error:
            return {"raised": vars(error)}
        except MemoryError as error:
            return {"out_of_memory": True, "threads": NO_THREAD in said(error)}
        except BaseException as error:  # a KeyboardInterrupt, say, which nobody at a keyboard has caused
            if question["ask"] in ("load", "offers"):
                return {"input_error": f"{question['subject']} cannot be imported: {headline(error)}"}
            return {"raised": {**describe(error), "step": 0}}

    def _answer(self, q: dict[str, Any]) -> Any:
        from surefoot.check.subject.load import in_file, load
        from surefoot.check.subject.patient import Here

        if q["ask"] == "offers":
            return in_file(q["subject"])
        if q["ask"] == "load":
            self.patient = Here(load(q["subject"]), _tuples(q["options"]), apart=True)
            return asdict(self.patient.signature)
        if q["ask"] == "tolerate":
            self.patient.tolerate(q["kind"])
            return asdict(self.patient.signature)
        if q["ask"] == "observe":
            return self.patient.observe(q["probe"], _tuples(q["case"]), _tuples(q["options"]))
        from surefoot.trace.plain import script_from_plain, trace_to_plain

        script = script_from_plain(q["script"])
        return trace_to_plain(self.patient.record(script, _tuples(q["options"]), q["dtype"], ones=q["ones"]))


def _tuples(value: Any) -> Any:
    """Undo JSON: options such as betas are tuples, and dtypes come as texts."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    if isinstance(value, str):
        from surefoot.options import dtype_or_text

        return dtype_or_text(value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


def main() -> None:
    """Serve the socket that the command line names."""
    with socket.socket(fileno=int(sys.argv[1])) as _control:
        serve(_control)
    os._exit(0)  # nothing is left to do, and tearing down torch takes its time
