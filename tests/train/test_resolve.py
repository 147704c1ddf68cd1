from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from surefoot.errors import InputError
from surefoot.train.resolve import absolute, resolve


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def sentence(spec: str) -> str:
    with pytest.raises(InputError) as caught:
        resolve(spec, "model", nn.Module)
    return str(caught.value)


def test_a_class_of_a_module_and_of_a_file(tmp_path: Path) -> None:
    assert resolve("torch.nn:Linear", "model", nn.Module) is nn.Linear
    write(tmp_path / "neighbour_of_net.py", "from torch.nn import Linear as Base")
    file = write(tmp_path / "net.py", "from neighbour_of_net import Base\nclass Net(Base): pass")
    found = resolve(f"{file}:Net", "model", nn.Module)
    assert issubclass(found, nn.Linear)
    assert resolve(f"{file}:Net", "model", nn.Module) is found
    assert str(tmp_path) not in sys.path


def test_a_module_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mine_in_cwd.py", "from torch import nn\nclass Net(nn.Linear): pass")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    assert resolve("mine_in_cwd:Net", "model", nn.Module).__name__ == "Net"


def test_the_colon_of_a_drive_names_no_class() -> None:
    assert sentence(r"C:\nets\net.py") == (
        r"The model 'C:\nets\net.py' names no class; write C:\nets\net.py:Class."
    )
    assert sentence(r"C:\nets\net.py:Net") == r"There is no file 'C:\nets\net.py' to take the model from."


def test_a_file_that_is_not_there() -> None:
    assert sentence("nowhere.py:Net") == "There is no file 'nowhere.py' to take the model from."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
        ("class Net(:", "SyntaxError: invalid syntax (net.py, line 1)"),
        ("raise ValueError", "ValueError"),
    ],
)
def test_a_file_that_does_not_import(tmp_path: Path, text: str, reason: str) -> None:
    file = write(tmp_path / "net.py", text)
    assert sentence(f"{file}:Net") == f"The model's module '{file}' cannot be imported: {reason}."


def test_a_file_that_ends_python(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit(3)")
    with pytest.raises(InputError) as caught:
        resolve(f"{tmp_path / 'main.py'}:Net", "model", nn.Module)
    assert str(caught.value) == (
        f"The model's module '{tmp_path / 'main.py'}' exits Python when it is imported (SystemExit: 3); put"
        " the code that it runs under if __name__ == '__main__'."
    )


def test_a_module_that_does_not_import() -> None:
    assert sentence("nothing_here:Net") == (
        "The model's module 'nothing_here' cannot be imported:"
        " ModuleNotFoundError: No module named 'nothing_here'."
    )


def test_a_class_that_is_missing(tmp_path: Path) -> None:
    file = write(tmp_path / "net.py", "from torch import nn\nclass Network(nn.Module): pass")
    assert sentence(f"{file}:Netwrk") == (
        f"Unknown model 'Netwrk' in {file}; did you mean 'Network'? Known: Network."
    )
    empty = write(tmp_path / "empty.py", "")
    assert sentence(f"{empty}:Net") == f"There is no model 'Net' in {empty}, nor any other."


def test_a_class_of_another_kind() -> None:
    assert sentence("collections:OrderedDict") == (
        "The model 'collections:OrderedDict' must be a class derived from torch's Module."
    )
    assert sentence("math:pi") == "The model 'math:pi' must be a class derived from torch's Module."


def test_absolute_names_files_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("net.py:Net") == f"{tmp_path / 'net.py'}:Net"
    assert absolute("mlp") == "mlp"
