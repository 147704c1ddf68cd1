"""What `import surefoot` gives."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import surefoot


def test_every_name_and_package_is_there() -> None:
    code = (
        "import sys, surefoot\n"
        "print([m for m in ('torch', 'sympy', 'matplotlib', 'numpy') if m in sys.modules])\n"
        "for name in surefoot.__all__: getattr(surefoot, name)\n"
        "print(surefoot.rules.get('torch').name, surefoot.errors.InputError.__name__)\n"
        "print(callable(surefoot.trace.record), callable(surefoot.train.resume), surefoot.plot.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "torch InputError", "True True surefoot.plot"]


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'surefoot' has no attribute 'sgd'"):
        _ = surefoot.sgd


def test_collecting_the_tests_left_torch_as_it_is():
    assert not torch.allclose(torch.zeros(1), torch.ones(1))
    assert torch.is_grad_enabled()


def test_what_completion_offers_is_surefoot_s_own() -> None:
    offered = {name for name in dir(surefoot) if not name.startswith("_")}
    assert offered == {*surefoot.__all__, *surefoot._PACKAGES} - {"__version__"}


def test_train_is_called_like_check_and_imports_nothing_before(tmp_path: Path) -> None:
    code = (
        "import sys, surefoot\n"
        "print(callable(surefoot.train), [m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])\n"
        "run = surefoot.train(model='linear', epochs=1, out='run', progress=False)\n"
        "import surefoot.train\n"
        "from surefoot.train import Config, train\n"
        "print(run.status, train is surefoot.train.train, Config is surefoot.train.Config)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["True []", "finished True True"]
    assert [*inspect.signature(surefoot.train).parameters] == ["config", "progress", "resume", "options"]
    assert surefoot.train.__doc__ == surefoot.train.train.__doc__
