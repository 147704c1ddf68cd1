"""torch without what training never asks for, and whole again."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.train import imports
from surefoot.train.imports import x86

SHAPES = "'torch._meta_registrations' in sys.modules"
# an operator whose shapes are told by that module alone
ASK = "torch.linalg.lu_factor(torch.empty(2, 2, device='meta'))"


def _said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_lean_leaves_the_shapes_out_and_whole_brings_them() -> None:
    kernels = "torch._C._dispatch_get_registrations_for_dispatch_key('Meta')"
    lean = _said(
        "import sys; from surefoot.train import imports; imports.lean(); import torch\n"
        f"print({SHAPES}, len({kernels}))\n"
        f"imports.whole(); print({SHAPES}, torch._meta_registrations.__file__.endswith('registrations.py'))\n"
        f"{ASK}; print(sorted({kernels}))"
    )
    plain = _said(f"import torch; print(sorted({kernels}))")
    assert lean[0].split()[0] == "False"
    assert lean[1] == "True True"
    assert lean[2] == plain[0]  # the same operators have shapes as after a plain import
    assert int(lean[0].split()[1]) < plain[0].count("aten::")


@pytest.mark.parametrize(
    "asked",
    [
        "torch.distributions.Normal", "torch.export.Dim", "torch.masked.MaskedTensor",
        "torch.nn.intrinsic.ConvReLU2d", "torch.quantization.QConfig", "torch._meta_registrations.meta_copy_",
    ],
)  # fmt: skip
def test_what_is_left_out_comes_in_as_soon_as_it_is_used(asked: str) -> None:
    package = asked.rpartition(".")[0]
    said = _said(
        "import sys; from surefoot.train import imports; imports.lean(); import torch\n"
        f"print({package!r} in sys.modules); thing = {asked}\n"
        f"print(thing is sys.modules[{package!r}].{asked.rpartition('.')[2]})\n"
        f"from {package} import {asked.rpartition('.')[2]} as again; print(thing is again)\n"
        f"import {package}; print({package} is sys.modules[{package!r}])"
    )
    assert said == ["False", "True", "True", "True"]


def test_a_training_asks_for_none_of_it(tmp_path: Path) -> None:
    said = _said(
        "import sys; from surefoot.train import imports; imports.lean()\n"
        f"from surefoot.cli import main; main(['train', '--epochs=1', '--out={tmp_path / 'run'}'])\n"
        "print([name for name in imports._LEFT_OUT if name in sys.modules])\n"
        "imports.whole(); print([name for name in imports._LEFT_OUT if name not in sys.modules])"
    )
    assert said[-2:] == ["[]", "[]"]


def test_a_torch_that_cannot_be_imported_tells_why_itself(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libgomp is not there')\n")
    said = _said(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from surefoot.train import imports\n"
        "try: imports.lean()\nexcept ImportError as error: print(error)\n"
        "print([name for name in sys.modules if name.startswith('torch')])"
    )
    assert said == ["libgomp is not there", "[]"]


def test_a_torch_that_lacks_some_of_it_is_whole_without(tmp_path: Path) -> None:
    (tmp_path / "torch" / "nn").mkdir(parents=True)
    for file in ("__init__.py", "nn/__init__.py"):
        (tmp_path / "torch" / file).write_text("")
    (tmp_path / "torch" / "masked.py").write_text("there = True\n")
    said = _said(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from surefoot.train import imports\n"
        "imports.lean(); imports.whole(); import torch\n"
        "print(torch.masked.there, 'torch.export' in sys.modules)"
    )
    assert said == ["True False"]


def test_a_lean_import_resolves_the_paths_of_few_modules() -> None:
    known = "import inspect; print(len(inspect.modulesbyfile))"
    (lean,) = _said(f"from surefoot.train import imports; imports.lean(); {known}")
    assert int(lean) < 100


def test_a_torch_that_asks_for_them_while_it_is_imported_gets_them(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("from torch._meta_registrations import shape\n")
    (tmp_path / "torch" / "_meta_registrations.py").write_text("shape = 7\n")
    said = _said(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from surefoot.train import imports\n"
        f"imports.lean(); import torch; print(torch.shape, torch._meta_registrations.shape, {SHAPES})"
    )
    assert said == ["7 7 True"]


def test_an_imported_torch_stays_as_it_is() -> None:
    said = _said(
        f"import sys, torch; from surefoot.train import imports; imports.lean(); print({SHAPES}); {ASK}"
    )
    assert said == ["True"]


@pytest.mark.parametrize("option", ["--model", pytest.param("--optimizer", marks=pytest.mark.slow)])
def test_a_user_s_own_code_finds_torch_whole(option: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import sys, torch\n"
        f"print('whole:', {SHAPES})\n{ASK}\n"
        "class Model(torch.nn.Sequential):\n"
        "    def __init__(self, shape, outputs):\n"
        "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(784, outputs))\n"
        "class Optimizer(torch.optim.SGD): pass\n"
    )
    own = f"{tmp_path / 'own.py'}:{option.removeprefix('--').capitalize()}"
    command = [sys.executable, "-m", "surefoot", "train", option, own, "--epochs", "1", "--lr", "0.01"]
    done = subprocess.run(
        [*command, "--model" if option != "--model" else "--name", "linear", "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "whole: True" in done.stdout


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_default_run_is_lean(threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    said = _said(
        "import sys; from surefoot.cli import main\n"
        f"main(['train', '--model', 'linear', '--epochs', '1', '--out', {str(tmp_path / 'run')!r}])\n"
        f"print('torch' in sys.modules, {SHAPES})"
    )
    assert said[-1] == "True False"
    assert ("up to 2 threads" in said[2]) == (threads == "2" and x86())


@pytest.mark.skipif(not x86(), reason="neither Intel's processor nor AMD's")
def test_strict_products_have_the_same_bits_by_any_number_of_threads() -> None:
    product = (
        "import torch, hashlib\n"
        "x, y, found = torch.randn(32, 784), torch.randn(784, 256), []\n"
        "for count in (1, 2):\n"
        "    torch.set_num_threads(count)\n"
        "    found.append((x @ y).numpy().tobytes())\n"
        "print(found[0] == found[1])"
    )
    assert _said(f"from surefoot.train import imports; imports.strict()\n{product}") == ["True"]


@pytest.mark.parametrize(
    ("vendor", "found"), [("GenuineIntel", True), ("AuthenticAMD", True), ("HygonGenuine", False)]
)
def test_whose_processor_it_is(vendor: str, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 25\n"
    monkeypatch.setattr(imports, "open", lambda *_: io.StringIO(said), raising=False)
    assert imports.x86() == found


def test_strict_keeps_what_the_user_set_and_comes_too_late_after_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = (
        "import os; from surefoot.train import imports; imports.strict(); print(os.environ.get('MKL_CBWR'))"
    )
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert _said(look) == ["COMPATIBLE"]
    monkeypatch.delenv("MKL_CBWR")
    assert _said(f"import torch; {look}") == ["None"]
