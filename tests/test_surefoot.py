"""What `import surefoot` gives."""

from __future__ import annotations

import subprocess
import sys

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
