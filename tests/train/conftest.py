"""What tests of the number of threads begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from surefoot.train.imports import STRICT
from surefoot.train.steps import sharable, threads


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # what MKL would promise: it has read the variable before
    monkeypatch.setenv("MKL_CBWR", STRICT)
    monkeypatch.setattr(sharable, "x86", lambda: True)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    with threads.by(1):
        yield
