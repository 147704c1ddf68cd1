"""The module of a frame, found without a look at all files."""

from __future__ import annotations

import inspect
import os
import sys

import pytest

from surefoot.frames import quick_frames


def test_the_module_of_a_frame_is_found_without_a_look_at_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, search = sys._getframe(), inspect.getmodule
    looked: list[str] = []
    real = os.path.realpath
    with quick_frames(), monkeypatch.context() as patch:
        patch.setattr(os.path, "realpath", lambda path, **more: looked.append(path) or real(path, **more))
        patch.setattr(inspect, "modulesbyfile", {})
        found = inspect.getmodule(frame)
        lines = inspect.getframeinfo(frame).code_context
        seen = looked[:]
        of_a_class = inspect.getmodule(pytest.MonkeyPatch)
    assert seen == []
    assert found is search(frame) is sys.modules[__name__]
    assert lines is not None
    assert "getframeinfo(frame)" in lines[0]
    assert of_a_class is search(pytest.MonkeyPatch)
    assert inspect.getmodule is search


def test_two_imports_at_once_leave_inspect_as_it_was() -> None:
    search = inspect.getmodule
    one, other = quick_frames(), quick_frames()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)  # the first to begin is over first, as of two threads
    assert inspect.getmodule is not search
    other.__exit__(None, None, None)
    assert inspect.getmodule is search


def test_a_frame_of_no_module_has_none() -> None:
    frames: list[object] = []
    exec("import sys; keep(sys._getframe())", {"keep": frames.append})
    with quick_frames():
        assert inspect.getmodule(frames[0]) is None


def test_inspect_searches_as_before_once_an_import_has_failed() -> None:
    search = inspect.getmodule
    with pytest.raises(ImportError, match="broken"), quick_frames():
        raise ImportError("broken")
    assert inspect.getmodule is search
