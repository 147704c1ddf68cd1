from __future__ import annotations

from pathlib import Path

import pytest
from cyclopts.completion.detect import ShellDetectionError

from surefoot.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_knows_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "predict" in script
    assert "batch-size" in script


def test_a_shell_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> None:
        raise ShellDetectionError

    monkeypatch.setattr("cyclopts.completion.detect.detect_shell", unknown)
    for arguments in ([], ["--install"]):
        assert main(["completion", *arguments]) == 2
        assert capsys.readouterr().err == (
            "surefoot: Which shell this is cannot be seen; name it, bash, zsh, fish or powershell, as in:"
            " surefoot completion bash.\n"
        )


def test_installing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["completion", "fish", "--install"]) == 0
    where = capsys.readouterr().out.removeprefix("Installed in ").partition(";")[0]
    assert Path(where).is_relative_to(tmp_path)
    assert Path(where).stat().st_size > 0
