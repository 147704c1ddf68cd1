"""Ctrl-C, SIGTERM and SIGHUP between two steps, so that what is saved is whole."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, TypeVar

from surefoot.train.saying import say

__all__ = ["Interruptible", "Stopping", "leaving_ctrl_c"]

T = TypeVar("T")
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# what starting a worker raises where the process that makes them has ended, as by Python 3.14's forkserver
_LOST = (ConnectionError, EOFError)


class Stopping(Exception):
    """What was under way is broken off, since the run should stop."""


class Interruptible:
    """Inside `with Interruptible() as stop:`, Ctrl-C, SIGTERM and SIGHUP only set `stop.asked`.

    A second one does at once what the first would have done outside: interrupt, or end the process. Outside
    the main thread, where Python delivers no signals, nothing changes.

    Args:
        told: whether the first is acknowledged on stderr.

    Attributes:
        signal: the number of the one that came; None before.
        cut: whether batches have ended before their time.
    """

    def __init__(self, *, told: bool = False) -> None:
        self._told = told
        self.signal: int | None = None
        self.cut = False
        self._before: dict[int, Any] = {}
        self._children: Any = None  # what SIGCHLD did
        self._process = os.getpid()

    @property
    def asked(self) -> bool:
        """Whether the run should stop."""
        return self.signal is not None

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # ignored, as in the background of a script, it stays so; None is not Python's to put back
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        # last, since the handler may still have set it aside; another may have come in its place
        if self._children is not None and signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL:
            signal.signal(signal.SIGCHLD, self._children)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        forked = os.getpid() != self._process
        if forked and number == signal.SIGINT:
            return  # a terminal sends Ctrl-C to a DataLoader's workers too; the run will end them
        if self.asked or forked:
            self.__exit__(None, None, None)
            signal.raise_signal(number)
        else:
            self.signal = number
            if hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is not None:
                # a DataLoader's workers, sent the same signal, end: torch would raise that amid a step
                self._children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if self._told:
                self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        # RuntimeError: a bar is just being written there, amid which this handler came; others: no stream
        with suppress(RuntimeError, ValueError, AttributeError):
            line = "\n" if sys.stderr.isatty() else ""  # below the bar, and what the terminal makes of a key
            say(f"{line}surefoot: stopping after this step; a second {name} stops at once", error=True)

    def through(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches, until the run should stop and their workers have ended before it."""
        try:
            yield from batches
        except (RuntimeError, *_LOST) as error:
            if not self.ends(error):
                raise
            self.cut = True

    def until_asked(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches, which the run can do without where it should stop.

        Raises:
            Stopping: it should, and they are not through.
        """
        try:
            if self.asked:
                raise Stopping
            for batch in batches:
                if self.asked:
                    raise Stopping
                yield batch
        except (RuntimeError, *_LOST) as error:
            if not self.ends(error):
                raise
            raise Stopping from error

    def ends(self, error: BaseException) -> bool:
        """Whether an error only says that a DataLoader's workers ended, as the run should."""
        if not isinstance(error, _LOST) and "DataLoader worker" not in str(error):
            return False
        if not self.asked:
            time.sleep(0.2)  # they may have been sent it first
        return self.asked


@contextmanager
def leaving_ctrl_c() -> Iterator[None]:
    """Processes that are forked inside leave Ctrl-C to this one, which will end them."""
    before, process = signal.getsignal(signal.SIGINT), os.getpid()
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
