"""What becomes of the process that forks, when the one that it serves is interrupted or killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from surefoot.check.run import check
from surefoot.check.sandbox.sandbox import Sandbox
from surefoot.check.sandbox.server import available, get_server

pytestmark = pytest.mark.skipif(not available(), reason="the sandbox needs fork")

# prints what comes of a check that Ctrl-C or a notebook's "interrupt" ends, in whatever it does just then
INTERRUPTED = """
import os, signal, threading, time
from surefoot.check.run import check
from surefoot.check.sandbox.server import get_server

def interrupted(after):
    timer = threading.Timer(after, os.killpg, (0, signal.SIGINT))
    timer.start()
    try:
        check("patients.py:Hangs", only=["zero-grad", "hooks", "rule"])
    except BaseException as error:
        return type(error).__name__

first = get_server()
print(check("torch.optim:SGD", only="hooks").ok, interrupted(1.0), interrupted(0.5))
print(get_server() is first, check("torch.optim:SGD", only="hooks").ok, flush=True)
"""
KILLED = """
from surefoot.check.sandbox.sandbox import Sandbox
Sandbox("patients.py:Hangs", seconds=60).observe("zero-grad", {"kept": {}}, {})
"""
PATIENTS = """
import os, time, torch

class Hangs(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        if os.path.exists("line"):
            self.line = open("line", "w")
        time.sleep(99)
"""


@pytest.fixture
def begun(tmp_path):
    """Begins a program in a process group of its own; what is read from it ends when its server has, too."""
    (tmp_path / "patients.py").write_text(PATIENTS)

    def begin(program):
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return begin


def test_an_interrupt_ends_the_check_and_leaves_the_server(begun):
    said, complained = begun(INTERRUPTED).communicate(timeout=100)
    assert said.split() == ["True", "KeyboardInterrupt", "KeyboardInterrupt", "True", "True"]
    assert complained == ""  # by the server either


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_who_is_ended_takes_the_server_and_its_workers_along(begun, tmp_path, number):
    os.mkfifo(tmp_path / "line")
    process = begun(KILLED)
    with open(tmp_path / "line") as line:  # once a worker hangs
        os.killpg(process.pid, number)
        _, complained = process.communicate(timeout=20)
        assert line.read() == ""  # no worker holds it
    assert process.returncode == -number
    assert complained.count("Traceback") == (number == signal.SIGINT)


def test_a_server_that_has_ended_is_started_anew():
    with contextlib.closing(Sandbox("torch.optim:SGD")) as before:
        first = get_server()
        first.process.kill()
        first.process.wait()
        assert check("torch.optim:SGD", only="hooks").ok
        assert get_server() is not first
        before.observe("steps", {}, {})  # its process outlived the server
        assert first.control.fileno() == -1
    assert get_server().workers == set()


def test_a_server_that_ends_while_it_is_asked_is_started_anew():
    with contextlib.closing(Sandbox("torch.optim:SGD")):
        first = get_server()
        os.kill(first.process.pid, signal.SIGSTOP)  # so that it is found running
        os.kill(first.process.pid, signal.SIGKILL)
        Sandbox("torch.optim:SGD").close()
        assert get_server() is not first


def test_an_order_whose_answer_was_not_awaited_answers_no_other():
    with contextlib.closing(Sandbox("torch.optim:SGD")) as sandbox:
        first = get_server()
        usual = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                first.wait(sandbox._pid, 60.0)
        finally:
            signal.signal(signal.SIGALRM, usual)
        assert first.process.wait(10) == 0  # it gave up waiting, too
        assert time.monotonic() - began < 30
