"""torch's libraries, opened while Python goes on."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from surefoot import preload

LIBRARIES = """
def libraries():
    loaders = {name: type(getattr(module, "__loader__", None)) for name, module in list(sys.modules.items())}
    return {name for name, loader in loaders.items() if loader.__name__ == "ExtensionFileLoader"}
"""


def _said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


linux = pytest.mark.skipif(
    sys.platform != "linux" or preload._folder() is None, reason="nothing is opened ahead elsewhere"
)


@linux
def test_they_are_open_before_torch_is_imported_and_python_goes_on_meanwhile() -> None:
    said = _said(
        "import sys; from surefoot import preload\n"
        "def opened(name): return name in open('/proc/self/maps').read()\n"
        "preload.begin(); seen = 0\n"
        "while preload.thread.is_alive(): seen += opened('libtorch_cpu')\n"
        "print(seen > 3, opened('libtorch_python'), 'torch' in sys.modules)\n"
        "preload.wait(); import torch; print(torch.ones(2).sum().item())"
    )
    assert said == ["True True False", "2.0"]


@linux
def test_what_train_does_meanwhile_opens_no_library_which_would_have_to_wait() -> None:
    (said,) = _said(
        "import sys; from surefoot import cli, preload\n" + LIBRARIES + "preload._import(preload._BEFORE)\n"
        "before = libraries(); cli.build('train')\n"
        "from surefoot.cli.train import train\n"
        "import surefoot.cli.signals, surefoot.cli.streams, surefoot.plot.painter\n"
        "from surefoot.train.data import embedded; embedded.read_ahead()\n"
        "preload._import(preload._MEANWHILE); print(libraries() - before)"
    )
    assert said == "set()"


def test_torch_imports_all_that_is_imported_for_it() -> None:
    more = (*preload._BEFORE, *preload._MEANWHILE)
    own = "import cyclopts, surefoot.cli.train, surefoot.plot.painter, surefoot.train.job, decimal"
    (said,) = _said(
        f"import sys, importlib.util; {own}, torch\n"
        f"print([n for n in {more!r} if n not in sys.modules and importlib.util.find_spec(n)])"
    )
    assert said == "[]"


def test_without_torch_or_with_it_there_already_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload, "_open", lambda folder: None)
    monkeypatch.setattr(preload, "thread", None)
    monkeypatch.setitem(sys.modules, "torch", sys)
    preload.begin()
    assert preload.thread is None
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    preload.begin()
    assert preload.thread is None
    preload.wait()


def test_a_torch_without_such_libraries_is_imported_as_usual(tmp_path: Path) -> None:
    said = _said(
        f"import pathlib, sys; from surefoot import preload; preload._open(pathlib.Path({str(tmp_path)!r}))\n"
        "import torch; print(torch.ones(2).sum().item())"
    )
    assert said == ["2.0"]


@pytest.mark.parametrize(
    ("library", "there"), [("cuda", False), ("hip", False), ("xpu", False), ("cpu", True)]
)
def test_a_torch_for_gpus_opens_its_libraries_itself(
    library: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "lib" / f"libtorch_{library}.so").touch()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert (preload._folder() == tmp_path / "torch" / "lib") == there


def test_where_no_thread_can_be_started_torch_opens_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(preload, "thread", None)
    monkeypatch.setattr(preload, "_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    preload.begin()
    preload.wait()
    assert preload.thread is None


@pytest.mark.parametrize("library", [object(), None])
def test_a_python_that_lends_no_dlopen_leaves_them_to_torch(
    library: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lend(name: None) -> object:
        if library is None:
            raise OSError("Dynamic loading not supported")
        return library

    monkeypatch.setattr(ctypes, "CDLL", lend)
    preload._open(tmp_path)


def test_what_needs_them_waits_until_they_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    may = threading.Event()
    opening = threading.Thread(target=may.wait, daemon=True)
    opening.start()
    monkeypatch.setattr(preload, "thread", opening)
    monkeypatch.setattr(preload, "_MEANWHILE", ())
    waiting = threading.Thread(target=preload.wait, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    may.set()
    waiting.join()
    assert not opening.is_alive()


def test_they_are_opened_in_torch_s_order_and_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Lent:
        @staticmethod
        def dlopen(name: bytes, flags: int) -> int:
            asked.append((Path(os.fsdecode(name)).name, flags))
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Lent())
    preload._open(tmp_path)
    assert asked == [
        (
            "libtorch_global_deps.so",
            os.RTLD_NOW | os.RTLD_GLOBAL,
        ),  # MKL's symbols are found by all the others
        ("libtorch_python.so", os.RTLD_NOW),
    ]
