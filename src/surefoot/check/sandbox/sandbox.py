"""Untrusted optimizers run in a process of their own: bounded in time, memory and output.

This side asks and judges; the other side (child.py) runs the optimizer and answers with plain data. An
optimizer that hangs, crashes or ends its process costs one question: a fresh process answers the next. It
guards against accidents and crude tricks and is no prison: the optimizer may read files, open connections.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from surefoot.check.protocol import Answer, Died, Options, Raised, Signature
from surefoot.check.sandbox.process import compilers, ending, kill, time_queued, time_used
from surefoot.check.sandbox.server import get_server
from surefoot.errors import InputError
from surefoot.options import dtype_or_text

if TYPE_CHECKING:
    from surefoot.trace import Script, Trace

__all__ = ["Sandbox"]

LONGEST_ANSWER = 1 << 26  # bytes
IMPORTS = 30.0  # seconds that importing the user's module may take
HURRIED = 1.0  # seconds for an answer, once one after the other has hung
SCANT = 1 << 28  # bytes for a process that is started in a hurry: it is filled sooner
BUSY = 20  # times as long as allowed is the most that waiting for a processor may add
# control characters as JSON writes them: a terminal would obey them, and show what was never judged
CONTROL = re.compile(rb"\\u00(?:[01][0-9a-f]|7f|[89][0-9a-f])")
TORCHS_LOG = re.compile(r"[VIWEC]\d{4} [\d:.]+ \d+ torch/|Profiler record function")
COMPILING = 120.0  # seconds that may be waited for a compiler, all answers together
GLANCE = 0.25  # seconds between two looks for one
LONG = 120.0  # seconds that a clause of --deep may take


class Sandbox:
    """A Patient in a process of its own.

    Args:
        subject: `file.py:Class` or `module:Class`.
        options: the options that the user gave.
        seconds: how long one answer may take.
        memory: how many bytes the process may use, beyond what torch itself needs.
    """

    def __init__(
        self, subject: str, options: Options | None = None, *, seconds: float = 5.0, memory: int = 1 << 30
    ) -> None:
        self.subject, self.seconds, self.memory = subject, seconds, memory
        self.options = dict(options or {})
        self.tolerated, self.closed = "", False
        self.patched: list[str] = []
        self.hangs = 0
        self.compiling = COMPILING
        self.limit = memory  # of the present process
        self.fresh = True  # whether it has answered nothing yet
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  (closed in close)
        self._connection: socket.socket | None = None
        self._pid = 0
        try:
            self.signature = self._load()
        except Died as error:
            self.close()
            raise InputError(f"{subject} cannot be imported: {error}") from None
        except BaseException:
            self.close()
            raise
        self.given = self.signature.given(self.options)

    def twin(self) -> Sandbox:
        """The same optimizer in another process, to be asked at the same time."""
        twin = Sandbox(self.subject, self.options, seconds=self.seconds, memory=self.memory)
        if self.tolerated:
            twin.tolerate(self.tolerated)
        return twin

    def observe(self, probe: str, case: Options, options: Options) -> Answer:
        """Run a probe over there."""
        from surefoot.check.contract import CLAUSES

        deep = probe in CLAUSES and CLAUSES[probe].deep
        seconds = LONG if deep else None
        answer: Answer = self._ask(seconds, ask="observe", probe=probe, case=case, options=options)
        return answer

    def record(
        self, script: Script, options: Options | None = None, dtype: str = "float64", *, ones: bool = False
    ) -> Trace:
        """Play a script over there; see `Patient.record`."""
        from surefoot.trace.plain import script_to_plain, trace_from_plain

        played = script_to_plain(script)
        plain = self._ask(ask="record", script=played, options=options or {}, dtype=dtype, ones=ones)
        return trace_from_plain(plain, script)

    @contextlib.contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Allow less time for an answer, and a fresh process less memory, for a while."""
        usual, hangs, memory = self.seconds, self.hangs, self.memory
        self.seconds, self.memory = seconds, min(memory, SCANT)
        try:
            yield
        finally:
            self.seconds, self.hangs, self.memory = usual, hangs, memory  # a hang in a hurry may be none
            if self.limit < memory:
                self._stop()  # what is asked next may need more

    def tolerate(self, kind: str) -> None:
        """Set aside what every step() raises after its update."""
        self.tolerated = kind
        self.signature = Signature(**self._ask(ask="tolerate", kind=kind))

    def printed(self) -> str:
        """Return what the optimizer printed, without what torch's compiler logs."""
        self.output.seek(0)
        said = self.output.read(1 << 16).decode("utf-8", "replace").strip()
        said = "\n".join(line for line in said.splitlines() if not TORCHS_LOG.match(line))
        return "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in said)

    def close(self) -> None:
        """End the process; nothing can be asked afterwards."""
        self.closed = True
        self._stop()
        self.output.close()

    def _load(self) -> Signature:
        self._start()
        told = self._ask(IMPORTS, ask="load", subject=self.subject, options=self.options)
        if self.tolerated:
            told = self._ask(ask="tolerate", kind=self.tolerated)
        return Signature(**told)

    def _start(self) -> None:
        server = get_server()
        ours, theirs = socket.socketpair()
        with theirs:
            order = {"memory": self.memory, "path": sys.path, "folder": os.getcwd()}
            try:
                self._pid = server.fork(order, [theirs.fileno(), self.output.fileno()])
            except BaseException:
                ours.close()
                raise
        self._connection, self.limit, self.fresh = ours, self.memory, True

    def _ask(self, seconds: float | None = None, **question: Any) -> Any:
        if self.closed:
            raise Died("Its process was stopped, since the check was stopped.")
        if self._connection is None:
            self._load()
        assert self._connection is not None, "a loaded patient is connected"
        id = uuid.uuid4().hex
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then there is no answer either
            self._connection.sendall(json.dumps({**question, "id": id}, default=_dtype).encode() + b"\n")
        # who hangs in one clause hangs in many: the third time, and from then on, is a short one
        usual = self.seconds if self.hangs < 2 else min(self.seconds, HURRIED)
        line = self._line(seconds or usual)
        try:
            reply = json.loads(CONTROL.sub(rb"\\ufffd", line))
            if reply.pop("id") != id:
                raise KeyError("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._died(
                "it wrote to the channel over which its process answers, and was stopped."
            ) from None
        from surefoot.check.sandbox.child import OUTPUT_LIMIT

        if os.fstat(self.output.fileno()).st_size > OUTPUT_LIMIT:
            died = self._died(f"it printed more than {OUTPUT_LIMIT >> 20} MiB, and was stopped.")
            self.output.truncate(OUTPUT_LIMIT // 2)
            os.lseek(self.output.fileno(), 0, os.SEEK_END)  # the next process writes from there
            raise died
        if reply.get("threads") and not self.fresh:  # most belong to the optimizers of other questions
            self._stop()
            return self._ask(seconds, **question)
        if reply.get("out_of_memory"):
            raise self._died(f"it requested more than {self.limit >> 20} MiB of memory.")
        if "input_error" in reply:
            raise InputError(reply["input_error"])
        if "raised" in reply:
            raise Raised(**reply["raised"])
        self.patched = reply["patched"] or self.patched
        self.fresh &= question["ask"] in ("load", "tolerate")
        return reply["answer"]

    def _line(self, seconds: float) -> bytes:
        """Read one answer; waiting for a processor, not for its own threads, is free, and for a compiler."""
        assert self._connection is not None, "a question was asked before"
        began, queued, used = time.monotonic(), time_queued(self._pid), time_used(self._pid)
        deadline, read = began + seconds, bytearray()
        compiled, looked = 0.0, began  # seconds that compilers worked, of those until the last look
        while not read.endswith(b"\n"):
            if time.monotonic() > deadline and time_used(self._pid) - used < seconds:
                waited = min(time_queued(self._pid) - queued, BUSY * seconds)
                deadline = began + seconds + waited + compiled
            left = deadline - time.monotonic()
            if left <= 0:
                self.hangs += 1
                raise self._died(f"it did not finish within {seconds:g} s, and was stopped.")
            if not select.select([self._connection], [], [], min(left, GLANCE))[0]:
                now = time.monotonic()
                if self.compiling > 0 and compilers(self._pid):
                    compiled += now - looked
                    self.compiling -= now - looked
                looked = now
                continue
            try:
                part = self._connection.recv(1 << 16)
            except ConnectionResetError:
                part = b""
            if not part:
                raise self._died("")
            read += part
            if len(read) > LONGEST_ANSWER:
                raise self._died(f"it answered with more than {LONGEST_ANSWER >> 20} MiB, and was stopped.")
        return bytes(read)

    def _died(self, why: str) -> Died:
        """End what is left of the process, and say how it ended."""
        code = self._stop(patience=0.0 if why else 1.0)
        why = why or f"it ended its process with {ending(code)}."
        return Died(why[0].upper() + why[1:])

    def _stop(self, patience: float = 2.0) -> int:
        """Close the connection, upon which the process should end; after a time it is killed."""
        if self._connection is None:
            return 0
        self._connection.close()
        self._connection = None
        code = get_server().wait(self._pid, patience)
        while code is None:
            kill(self._pid)
            code = get_server().wait(self._pid, 1.0)
        return code


def _dtype(value: Any) -> str:
    """What JSON has no word for, as a text."""
    text = str(value)
    if not isinstance(dtype_or_text(text), str):
        return text
    raise InputError(
        f"An option is {value!r}, which cannot be sent to the process in which the optimizer runs; with "
        "sandbox=False it runs in this one."
    )
