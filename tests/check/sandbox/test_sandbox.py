"""Optimizers that misbehave: each costs a failed clause that says so, and the rest is examined."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from surefoot.check.protocol import Died
from surefoot.check.run import check
from surefoot.check.sandbox import child, process, sandbox, server
from surefoot.check.sandbox.sandbox import Sandbox
from surefoot.check.sandbox.server import available, get_server
from surefoot.errors import InputError

pytestmark = pytest.mark.skipif(not available(), reason="the sandbox needs fork")

PATIENTS = """
import ctypes, os, sys, threading, time, torch

class Exits(torch.optim.SGD):
    def load_state_dict(self, state_dict):
        os._exit(3)

class ExitsAtEveryStep(torch.optim.SGD):
    def step(self, closure=None):
        os._exit(0)

class Hangs(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        while True:
            time.sleep(1)

class Crashes(torch.optim.SGD):
    def __deepcopy__(self, memo):
        ctypes.string_at(0)

class Hogs(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        self.hoard = bytearray(1 << 31)

class HogsAtEveryStep(torch.optim.SGD):
    def step(self, closure=None):
        self.hoard = []
        while True:
            self.hoard.append(torch.ones(1 << 22))

class StartsThreads(torch.optim.SGD):
    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, lr=lr, momentum=momentum, foreach=False)
        threading.Thread(target=time.sleep, args=(1e6,)).start()

class Spins(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        for _ in range(3):
            threading.Thread(target=self.spin).start()
        self.spin()

    def spin(self):
        while True:
            pass

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class RaisesWithoutWords(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        raise Silent

class KilledByARealTimeSignal(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        os.kill(os.getpid(), 40)

class Chatters(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        while True:
            print("55 passed " * 1000)

class RaisesAtItsEnd(torch.optim.SGD):
    def __del__(self):
        raise RuntimeError("I will not go")

class Forges(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        print('{"answer": {"claims": []}, "patched": []}', flush=True)
        print("zero-grad passed")

class ClosesStdout(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        import sys
        sys.stdout.close()
        super().zero_grad(set_to_none)

class WritesIntoEveryPipe(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        for fd in range(3, 64):
            try:
                os.write(fd, b'{"answer": {"claims": []}, "patched": [], "id": "1"}\\n')
            except OSError:
                pass

class Patches(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        torch.Tensor.any = lambda self: False
        from surefoot.check.contract import judge
        judge.judge = lambda claims: ("passed", {})

class ForksAway(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)
        if os.fork() == 0:
            time.sleep(1000)

class Slow(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        time.sleep(1)
        super().zero_grad(set_to_none)

class ChattersThroughout(torch.optim.SGD):
    def step(self, closure=None):
        while closure:
            print("55 passed " * 1000)
        return super().step()

class HangsOften(torch.optim.SGD):
    def step(self, closure=None):
        while self.param_groups[0]["momentum"]:
            time.sleep(1)
        return super().step(closure)

class Paints(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        print("\\x1b[2J\\x1b[32mall is well")
        raise ValueError("\\x1b[2J\\x9b32mall is well")

class Interrupts(torch.optim.SGD):
    def step(self, closure=None):
        raise KeyboardInterrupt("enough")

class EndsAGenerator(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        raise GeneratorExit

class ExitsPythonAtEveryStep(torch.optim.SGD):
    def step(self, closure=None):
        sys.exit(0)

class ExitsPython(torch.optim.SGD):
    def zero_grad(self, set_to_none=True):
        sys.exit("done")
"""
# patient -> the clause that fails, what it says
SAID = {
    "Exits": ("resume", "It ended its process with exit code 3, as os._exit(3) does."),
    "Crashes": ("deep-copies", "It ended its process with signal SIGSEGV."),
    "Hogs": ("zero-grad", "It requested more than 1024 MiB of memory."),
    "Chatters": ("zero-grad", "It printed more than 1 MiB, and was stopped."),
    "RaisesAtItsEnd": ("goes-quietly", "exceptions while the optimizer was being deleted"),
    "Forges": ("zero-grad", "p.grad is None or zero after zero_grad()"),
    "WritesIntoEveryPipe": (
        "zero-grad",
        "It wrote to the channel over which its process answers, and was stopped.",
    ),
    "ExitsPython": ("zero-grad", "SystemExit: done"),
    "RaisesWithoutWords": ("zero-grad", "Silent"),
    "KilledByARealTimeSignal": ("zero-grad", "It ended its process with signal 40."),
}


@pytest.fixture
def patients(tmp_path, monkeypatch):
    (tmp_path / "patients.py").write_text(PATIENTS)
    monkeypatch.chdir(tmp_path)


def examined(name, *only):
    options = {"foreach": False, "fused": False}
    return check(f"patients.py:{name}", options=options, only=[*only, "hooks", "torch-untouched"])


@pytest.mark.parametrize("name", SAID)
def test_misbehaviour_is_a_failed_clause_that_says_so(name, patients):
    id, said = SAID[name]
    report = examined(name, id)
    assert report[id].outcome == "failed"
    assert report[id].note == said
    assert report["hooks"].outcome != "failed"  # the rest was examined
    assert len(report.verdicts) == 3


def test_hang_is_stopped_in_time(patients):
    with_hang = Sandbox("patients.py:Hangs", seconds=0.5)
    began = time.monotonic()
    with pytest.raises(Exception, match=r"It did not finish within 0\.5 s, and was stopped"):
        with_hang.observe("zero-grad", {"kept": {}}, {})
    assert time.monotonic() - began < 20
    assert "claims" in with_hang.observe("is-optimizer", {}, {})  # a fresh process answers
    with_hang.close()


def test_who_hangs_in_many_clauses_is_waited_for_twice(patients, monkeypatch):
    monkeypatch.setattr(sandbox, "HURRIED", 0.25)
    hangs = Sandbox("patients.py:HangsOften", seconds=0.5)
    with contextlib.closing(hangs):
        said = []
        for _ in range(3):
            with pytest.raises(Died) as died:
                hangs.observe("steps", {}, {"momentum": 0.5})
            said.append(str(died.value))
    assert said == [f"It did not finish within {s} s, and was stopped." for s in ("0.5", "0.5", "0.25")]


@pytest.mark.slow
def test_what_uses_up_the_memory_is_shrunk_with_less_of_it(patients, monkeypatch):
    died = []

    def load(self):
        died.append(self.memory)
        return LOAD(self)

    LOAD = Sandbox._load
    monkeypatch.setattr(Sandbox, "_load", load)
    report = check("patients.py:HogsAtEveryStep", only=["rule"])
    assert [v.note for v in report.failures] == ["It requested more than 1024 MiB of memory."]
    assert "ends the training" in report["rule"].why  # not that a coefficient is wrong
    assert report["rule"].got == report["rule"].note  # told with all the memory there is
    assert report["rule"].script.endswith("step 1: w.grad = 0")
    assert set(died) == {1 << 28, 1 << 30}
    assert len(died) < 20


def test_a_process_that_was_started_in_a_hurry_goes_with_it(patients):
    hogs = Sandbox("patients.py:HogsAtEveryStep")
    with contextlib.closing(hogs):
        with pytest.raises(Died, match="more than 1024 MiB"):
            hogs.observe("steps", {}, {})
        with hogs.hurried(2.0):
            with pytest.raises(Died, match="more than 256 MiB"):
                hogs.observe("steps", {}, {})
            hogs.observe("is-optimizer", {}, {})  # by a fresh process
        with pytest.raises(Died, match="more than 1024 MiB"):
            hogs.observe("steps", {}, {})


def test_endless_output_is_called_that_in_every_clause(patients):
    report = check("patients.py:ChattersThroughout", only=["closure"])
    assert {v.note for v in report.failures} == {"It printed more than 1 MiB, and was stopped."}
    assert len(report.failures) == 4


def test_what_would_paint_the_terminal_is_made_visible(patients):
    shown = str(examined("Paints", "zero-grad"))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\ufffd[2J\ufffd[32mall is well" in " ".join(shown.split())
    assert "ValueError: \ufffd[2J\ufffd32mall is well" in shown


def test_step_that_ends_the_process_leaves_one_failure(patients):
    report = check("patients.py:ExitsAtEveryStep", only=["construction", "state"])
    assert [v.clause.id for v in report.failures] == ["steps"]
    assert report["resume"].outcome == "not applicable"
    assert "exit code 0" in report["resume"].note


def test_what_ends_every_step_is_told_where_it_is_shown(patients):
    report = check("patients.py:ExitsPythonAtEveryStep", only=["construction", "tooling"])
    assert [v.clause.id for v in report.failures] == ["steps"]
    assert report["steps"].got == "SystemExit: 0"
    assert "sys.exit(0)" in report["steps"].where


def test_an_interrupt_that_nobody_typed_is_an_exception_like_others(patients):
    report = check("patients.py:Interrupts", "torch", only=["rule", "steps"])
    assert report["rule"].got.startswith("KeyboardInterrupt: enough\nline ")
    assert report["rule"].note.endswith("runs raise an exception")
    assert report["steps"].note == "KeyboardInterrupt: enough"
    report = check("patients.py:EndsAGenerator", only=["zero-grad"])
    assert report["zero-grad"].note.startswith("GeneratorExit")


def test_an_interrupt_in_this_process_is_the_users_own(patients):
    with pytest.raises(KeyboardInterrupt):
        check("patients.py:Interrupts", only=["rule"], sandbox=False)


def test_replaced_functions_are_named(patients):
    report = examined("Patches", "zero-grad")
    assert report["torch-untouched"].outcome == "failed"
    assert "torch.Tensor.any" in report["torch-untouched"].note
    done = subprocess.run(
        [sys.executable, "-c", report["torch-untouched"].repro], capture_output=True, text=True
    )
    assert done.stderr.rstrip().endswith("AssertionError")


def test_a_changed_default_dtype_is_told_and_no_function_of_torchs_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = "import torch\ntorch.set_default_dtype(torch.float64)\nclass Wide(torch.optim.SGD): pass\n"
    (tmp_path / "wide.py").write_text(file)
    report = check("wide.py:Wide", only=["hooks", "torch-untouched"])
    verdict = report["torch-untouched"]
    assert (verdict.outcome, verdict.note) == ("failed", "it changes the default dtype")
    assert "torch.set_default_dtype" in verdict.why
    assert "Storage" not in f"{verdict}"
    assert "a different name" not in f"{report}"
    done = subprocess.run([sys.executable, "-c", verdict.repro], capture_output=True, text=True)
    assert done.stderr.rstrip().endswith("AssertionError")


def test_its_own_processes_are_ended_with_it(patients):
    sandbox = Sandbox("patients.py:ForksAway")
    sandbox.observe("zero-grad", {"kept": {}}, {})
    group = sandbox._pid
    sandbox.close()
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("a process of the optimizer lives on")


def test_each_answer_has_its_time_and_waiting_takes_none(tmp_path, monkeypatch):
    (tmp_path / "clock.py").write_text(
        "import signal, time, torch\n"
        "time.sleep(1.1)\n"
        "class SGD(torch.optim.SGD):\n"
        "    def step(self, closure=None):\n"
        "        print(round(signal.getitimer(signal.ITIMER_REAL)[0]))\n"
        "        signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
        "        return super().step(closure)\n"
    )
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(Sandbox("clock.py:SGD")) as sandbox:
        for _ in range(2):
            sandbox.observe("steps", {}, {})
            time.sleep(0.6)
        assert {line for line in sandbox.printed().splitlines() if line != "0"} == {str(child.LONGEST)}


def test_what_is_printed_is_captured_and_told(patients, capfd):
    report = examined("Forges", "zero-grad")
    assert "zero-grad passed" not in capfd.readouterr().out
    assert any(note.startswith("It printed") for note in report.notes)


def test_who_closes_stdout_is_not_told_to_have_ended_its_process(patients):
    assert examined("ClosesStdout", "zero-grad").ok


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nos._exit(1)", "cannot be imported: It ended its process with exit code 1"),
        ("raise KeyError('x')", "cannot be imported: KeyError: 'x'"),
        ("class E(Exception): __str__ = None\nraise E", "mine.py cannot be imported: E."),
        ("raise KeyboardInterrupt('x')", "cannot be imported: KeyboardInterrupt: x"),
        ("def SGD(:", "cannot be imported: SyntaxError"),
        ("x = 1\nlist().zap()", "has no attribute 'zap'. Line 2: list().zap()"),
        ("x = 1\nexit()", "It exits while it is imported, in line 2: exit();"),
        ("x = input()", "It waits for input while it is imported, in line 1: x = input();"),
        (
            "import torch\nSGD = torch.nn.Linear(1, 1)",
            "mine.py:SGD is of type Linear; it must be an optimizer class",
        ),
        (
            "class SGD:\n    def __init__(self, lr=0.1): pass\n    def step(self): pass",
            "mine.py:SGD takes lr=0.1 first, not the parameters: write __init__(self, params, lr=0.1).",
        ),
        ("import nonsense", "No module named 'nonsense'"),
        ("x = 1", "There is no optimizer 'SGD' in mine.py"),
        ("SGD = 3", "it must be an optimizer class"),
    ],
)
def test_module_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch, source, said):
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        check("mine.py:SGD")
    assert said in str(error.value)


def test_one_server_serves_all():
    first, second = Sandbox("torch.optim:SGD"), Sandbox("torch.optim:Adam")
    one = get_server()
    assert first.observe("steps", {}, {}) == second.observe("steps", {}, {})
    first.close()
    second.close()
    assert get_server() is one


HANGS = "torch.manual_seed = lambda _: time.sleep(99)"


@pytest.mark.parametrize(
    "spoilt",
    ["pass", "torch.manual_seed = lambda _: os.abort()", pytest.param(HANGS, marks=pytest.mark.slow)],
)
def test_on_a_mac_a_step_is_tried_before_any_optimizer_is_called_wrong(monkeypatch, spoilt):
    mac = f"import os, time, torch._dynamo, surefoot.check.subject.patient; sys.platform = 'darwin'; {spoilt}"
    trial = "from surefoot.check.sandbox import child; child.TRIAL = 8; child.main()"
    monkeypatch.setattr(server, "_CHILD", "import sys; sys.path[:] = {paths}; " + f"{mac}; {trial}")
    monkeypatch.setattr(server, "_server", None)
    if spoilt != "pass":
        with pytest.raises(InputError, match="could not be started; --no-sandbox runs without it"):
            Sandbox("torch.optim:SGD")
    else:
        Sandbox("torch.optim:SGD").close()
    server._server.close()


def test_its_words_are_those_of_this_process():
    """The same optimizer in both: the same verdicts."""
    import torch

    there, here = (check(s, only=["state", "gradients"]) for s in ("torch.optim:SGD", torch.optim.SGD))
    assert [(v.clause.id, v.outcome, v.note) for v in there.verdicts] == [
        (v.clause.id, v.outcome, v.note) for v in here.verdicts
    ]


def test_time_that_a_process_waits_for_a_processor_does_not_count(patients, monkeypatch):
    monkeypatch.setattr(
        sandbox, "time_queued", lambda pid: time.monotonic()
    )  # as if no processor was ever free
    slow = Sandbox("patients.py:Slow", seconds=0.5)
    try:
        assert "claims" in slow.observe("zero-grad", {"kept": {}}, {})
    finally:
        slow.close()


def test_what_a_process_waits_is_read_where_the_system_says_so():
    assert process.time_queued(os.getpid()) >= 0
    assert process.time_queued(1 << 30) == 0


def test_who_waits_for_threads_of_its_own_is_stopped_all_the_same(patients, monkeypatch):
    monkeypatch.setattr(
        sandbox, "time_queued", lambda pid: time.monotonic()
    )  # as if no processor was ever free
    spins = Sandbox("patients.py:Spins", seconds=0.5)
    began = time.monotonic()
    with contextlib.closing(spins), pytest.raises(Died, match=r"did not finish within 0\.5 s"):
        spins.observe("zero-grad", {"kept": {}}, {})
    assert time.monotonic() - began < 0.5 * sandbox.BUSY


def test_what_a_process_has_used_is_read_where_the_system_says_so():
    before = time.process_time()
    assert process.time_used(os.getpid()) == pytest.approx(before, abs=1.0)
    assert process.time_used(1 << 30) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say what runs")
def test_time_that_a_compiler_takes_does_not_count(tmp_path, monkeypatch):
    compiler = shutil.copy(shutil.which("sleep"), tmp_path / "cc1plus")
    (tmp_path / "compiling.py").write_text(
        "import subprocess, torch\n"
        "class SGD(torch.optim.SGD):\n"
        "    def zero_grad(self, set_to_none=True):\n"
        f"        subprocess.run([{str(compiler)!r}, '2.5'])\n"
        "        super().zero_grad(set_to_none)\n"
    )
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(Sandbox("compiling.py:SGD", seconds=1.0)) as patient:
        assert "claims" in patient.observe("zero-grad", {"kept": {}}, {})
        patient.compiling = 0.0
        with pytest.raises(Died, match="did not finish within 1 s"):
            patient.observe("zero-grad", {"kept": {}}, {})


def test_threads_of_earlier_optimizers_are_no_refusal(patients):
    report = check("patients.py:StartsThreads", only=["rule", "options", "closure"])
    assert report.ok, str(report)
    assert not [v.note for v in report.verdicts if "thread" in v.note]
    assert report["closure-loss"].outcome == report["rule"].outcome == "passed"


def test_a_wrong_rule_is_refused_while_the_contract_is_being_examined(patients):
    with pytest.raises(InputError, match="did you mean 'torch'"):
        check("patients.py:Forges", "tourch")


def test_both_processes_are_heard():
    here = check("torch.optim:SGD", "torch", quick=True)
    assert here.verdicts[0].clause.group == "arithmetic"
    assert list(dict.fromkeys(v.clause.group for v in here.verdicts))[-1] == "process"
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_a_file_named_as_one_of_pythons_stands_in_nobodys_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("random.py", "types.py", "copy.py"):
        (tmp_path / name).write_text("raise SystemExit('this is homework')\n")
    (tmp_path / "mine.py").write_text("from torch.optim import SGD as Sgd\nclass SGD(Sgd):\n    pass\n")
    command = [Path(sys.executable).with_name("surefoot"), "check", "mine.py:SGD", "--only", "rule"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
