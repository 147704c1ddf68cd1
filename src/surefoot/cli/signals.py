"""What Ctrl-C and the other signals that end a command do, where a training does not see to them itself."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from types import FrameType

__all__ = ["end_by_signals", "interrupts_raise", "unraisable"]


def end_by_signals() -> None:
    """Before its first step a training ends by signals with the exit codes of later ones; a prediction, too.

    A KeyboardInterrupt among imports may be taken for an error of the module that it comes in.
    """
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),  # which Windows lacks
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == usual:  # else somebody chose
            signal.signal(number, _end)


def interrupts_raise() -> None:
    """All is imported: from now on Ctrl-C is a KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)  # as the signal itself would: nothing has been done that could be lost


def unraisable(what: sys.UnraisableHookArgs) -> None:
    """Let a Ctrl-C come again that came where Python can raise nothing, as in a weak reference's callback."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, _interrupt).start()
    else:
        sys.__unraisablehook__(what)


def _interrupt() -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGINT)  # which also ends a wait
    else:
        _thread.interrupt_main()
