from __future__ import annotations

import signal
import sys
import threading

import pytest

from surefoot.train.interrupt import Interruptible, Stopping


def test_the_first_only_asks_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruptible() as stop:
        assert not stop.asked
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_a_terminal_that_is_closed_asks_too() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Interruptible() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert stop.signal == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) == before


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="needs SIGCHLD")
def test_once_it_should_stop_workers_may_end() -> None:
    def ends(number: int, frame: object) -> None:
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated.")

    before = signal.signal(signal.SIGCHLD, ends)
    try:
        with Interruptible():
            with pytest.raises(RuntimeError, match="DataLoader worker"):
                signal.raise_signal(signal.SIGCHLD)
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGCHLD)
        assert signal.getsignal(signal.SIGCHLD) is ends
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="needs SIGCHLD")
def test_a_signal_while_handlers_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(number: int, frame: object) -> None:
        pass

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
    before = [signal.signal(number, handler) for number in names]
    put, late = signal.signal, [True]

    def put_late(number: int, new: object) -> object:
        if number == signal.SIGINT and new is handler and late.pop(0):
            signal.raise_signal(signal.SIGTERM)  # still its own
        return put(number, new)  # type: ignore[arg-type]

    try:
        with Interruptible() as stop:
            monkeypatch.setattr(signal, "signal", put_late)
        monkeypatch.undo()
        assert stop.signal == signal.SIGTERM
        assert [signal.getsignal(number) for number in names] == [handler] * 3
    finally:
        for number, old in zip(names, before, strict=True):
            signal.signal(number, old)


def test_batches_end_with_their_workers_only_when_it_should_stop() -> None:
    def batches(said: str):  # type: ignore[no-untyped-def]
        yield 1
        raise RuntimeError(said)

    ended = "DataLoader worker (pid(s) 1) exited unexpectedly"
    with Interruptible() as stop:
        with pytest.raises(RuntimeError, match="exited unexpectedly"):
            list(stop.through(batches(ended)))
        signal.raise_signal(signal.SIGTERM)
        assert list(stop.through(batches(ended))) == [1]
        with pytest.raises(RuntimeError, match="another"):
            list(stop.through(batches("another")))


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_worker_that_cannot_be_started_any_more_ends_them_too(error: Exception) -> None:
    """As with Python 3.14, where a process of its own makes the workers, and the signal has ended that."""

    def batches():  # type: ignore[no-untyped-def]
        yield 1
        raise error

    with Interruptible() as stop:
        with pytest.raises(type(error)):
            list(stop.through(batches()))
        signal.raise_signal(signal.SIGTERM)
        assert list(stop.through(batches())) == [1]
        assert stop.ends(error)


def test_what_can_be_done_without_is_broken_off() -> None:
    with Interruptible() as stop:
        found = stop.until_asked(iter([1, 2]))
        assert next(found) == 1
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopping):
            next(found)
        with pytest.raises(Stopping):  # nor is it begun
            next(stop.until_asked(iter([1])))


def test_the_first_signal_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Interruptible(told=True):
        signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err == (
            "surefoot: stopping after this step; a second Ctrl-C stops at once\n"
        )
    with Interruptible(told=True):
        signal.raise_signal(signal.SIGTERM)
        assert "a second SIGTERM stops at once" in capsys.readouterr().err
    with Interruptible():
        signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    with Interruptible(told=True) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked


def test_another_thread_gets_no_signals() -> None:
    asked = []

    def work() -> None:
        with Interruptible() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_sigterm_asks_too_and_says_so() -> None:
    with Interruptible() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_was_ignored_stays_ignored() -> None:
    """As in a job that a script put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptible() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_that_a_run_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They work on until the run ends them: that, SIGTERM, they must not take for a wish."""
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with Interruptible() as stop:
            monkeypatch.setattr("os.getpid", lambda: 0)
            signal.raise_signal(signal.SIGINT)
            assert not stop.asked
            signal.raise_signal(signal.SIGTERM)
            assert not stop.asked
            assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
