"""Optimizers loaded from files put their folders on sys.path, as python itself does; tests give it back."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
