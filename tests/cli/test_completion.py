from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from cyclopts.completion.detect import ShellDetectionError

from surefoot.cli import main
from surefoot.cli.kinds import Decays, Rules
from surefoot.cli.train import _KNOWN, Presets
from surefoot.rules import DECAYS, RULES
from surefoot.train.config import presets
from surefoot.train.data.published import NAMES


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
            "surefoot: Cannot detect the shell; name it (bash, zsh, fish or powershell), as in:"
            " surefoot completion bash.\n"
        )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("XDG_DATA_HOME", "BASH_COMPLETION_USER_DIR", "ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "file", "start"),
    [
        ("fish", ".config/fish/completions/surefoot.fish", ""),
        ("bash", ".local/share/bash-completion/completions/surefoot", ".bashrc"),
        ("zsh", ".zsh/completions/_cyclopts_surefoot", ".zshrc"),
    ],
)
def test_installing_says_all_that_was_written(
    shell: str, file: str, start: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if start:
        (home / start).write_text("# mine\n")
    line = f", and added a line to {home / start} that loads it" if start else ""
    for added in (line, ""):  # the second time the line is there
        assert main(["completion", shell, "--install"]) == 0
        assert capsys.readouterr().out == f"Written: {home / file}{added}. It takes effect in a new shell.\n"
    assert (home / file).stat().st_size > 0
    starts = [path for path in home.iterdir() if path.is_file()]
    assert starts == ([home / start] if start else [])
    if start:
        assert "# mine\n" in (home / start).read_text()
        assert str((home / file).parent) in (home / start).read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_start_file_is_left_alone_where_bash_completion_is_loaded(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = "BASH_COMPLETION_VERSINFO=(2 11)\necho hello\n"
    (home / ".bashrc").write_text(mine)
    assert main(["completion", "bash", "--install"]) == 0
    file = home / ".local/share/bash-completion/completions/surefoot"
    assert capsys.readouterr().out == f"Written: {file}. It takes effect in a new shell.\n"
    assert (home / ".bashrc").read_text() == mine


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("check --rule ke", "keras"),
        ("explain adamw", "adamw"),
        ("train --preset ", "lecture"),
        ("train --data fa", "fashion-mnist"),
        ("convert --decay no", "no_lr"),
        ("check exam", ""),  # and so the shell's own names of files
        ("train --data exam", ""),
        ("resume ru", ""),
    ],
)
def test_what_bash_completes(typed: str, offered: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert "complete -o default -o bashdefault -F _surefoot surefoot" in script
    words = ["surefoot", *typed.split(" ")]
    ask = f'COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}; _surefoot; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}", "bash", *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == offered


def test_what_is_written_out_to_be_completed_is_what_there_is() -> None:
    assert {*get_args(Rules)} == {*RULES, "sgd"}
    assert {*get_args(Decays)} == {*DECAYS}
    assert [*get_args(Presets)] == presets()
    assert {*get_args(get_args(_KNOWN["data"])[0])} == {*NAMES}
