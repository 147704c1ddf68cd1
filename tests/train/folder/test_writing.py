from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.train.folder.writing import at_home, whole


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    whole(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        whole(path, b"new")
    assert str(caught.value) == (
        f"Cannot write '{path}': No space left on device; choose another folder, or free some space there."
    )
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_home_folder_that_is_not_there() -> None:
    with pytest.raises(
        InputError, match=r"^Cannot find '~nosuchuser/x': there is no home folder '~nosuchuser'"
    ):
        at_home("~nosuchuser/x")
    assert at_home("~") == Path.home()
