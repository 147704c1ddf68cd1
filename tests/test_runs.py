"""What a run wrote down, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.runs import read, record


@pytest.mark.parametrize("damaged", [b'{"st', b"[[1, 2]]", b"\xff", b"null"])
def test_a_last_line_that_was_cut_off_is_left_out_and_any_other_told(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "metrics.jsonl"
    for end in (b"", b"\n"):
        file.write_bytes(b'{"step": 1}\n    \n' + damaged + end)  # one was damaged, and blanked
        assert read(tmp_path).records == [{"step": 1}]
    file.write_bytes(b'{"step": 1}\n' + damaged + b'\n{"step": 3}\n')
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"Line 2 of '{file}' is not a JSON record."


def test_what_is_no_run_s_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^There is no run folder '.*nowhere'\.$"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is not a run folder: cannot read its metrics\.jsonl\.$"):
        read(tmp_path)


def test_tables_of_the_options_are_flattened(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "config.toml").write_text("lr = 0.1\n[a.b]\nc = 1\n")
    assert read(tmp_path).config == {"lr": 0.1, "a.b.c": 1}
    assert read(tmp_path).name == tmp_path.name
    (tmp_path / "config.toml").write_text("lr = \n")
    with pytest.raises(InputError, match=r"^Cannot read '.*config\.toml': "):
        read(tmp_path)


def test_a_blank_line_holds_no_record() -> None:
    assert record(b"  ") is None
    assert record(b'{"step": 1}\r') == {"step": 1}
