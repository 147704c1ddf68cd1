from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from surefoot.cli import main
from surefoot.train import job
from surefoot.train.config import Config, read
from surefoot.train.run import Interrupted, Run


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A file of 50 rows that a model learns at once."""
    x = np.random.RandomState(0).randn(50, 4).astype(np.float32)
    np.savez(tmp_path / "small.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    return "small.npz"


def failed(capsys: pytest.CaptureFixture[str], *args: str, code: int = 2) -> str:
    """The sentence on stderr of a command that must fail."""
    capsys.readouterr()
    assert main(["train", *args]) == code
    err = capsys.readouterr().err
    assert err.startswith("surefoot: ")
    assert err.count("\n") == 1
    return err.removeprefix("surefoot: ").rstrip("\n")


def test_without_arguments_it_trains_on_mnist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--threads", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [
        "mnist-10k: 8,000 training and 2,000 validation rows of 28 × 28, 10 classes",
        "mlp 784-256-10, 203,530 parameters; SGD lr 0.04, momentum 0.9, weight decay 0.002, nesterov",
    ]
    assert out[2] == "cosine, batches of 32; cpu, 1 thread"
    assert [line.split()[0] for line in out[4:10]] == ["epoch", "1/5", "2/5", "3/5", "4/5", "5/5"]
    (folder,) = Path("runs").iterdir()
    assert out[-1] == f"saved in {folder}"
    assert out[-2].startswith("validation accuracy 9")
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "best.safetensors",
        "config.toml",
        "curves.png",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
    }
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["kind"] == "step"] == list(range(1, 1251))
    assert [r["epoch"] for r in records if r["kind"] == "epoch"] == [1, 2, 3, 4, 5]
    assert records[-2]["valid_accuracy"] >= 0.96
    environment = json.loads((folder / "environment.json").read_text())
    assert (environment["seed"], environment["threads"], environment["torch"]) == (0, 1, torch.__version__)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_five_seeds_reach_96_percent(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--threads", "1", "--seed", str(seed), "--out", "run"]) == 0
    last = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-2])
    assert last["valid_accuracy"] >= 0.96


def test_the_lectures_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--preset", "lecture", "--threads", "1", "--out", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "accuracy, mean" in lines[4]
    means = [float(line.split()[5]) for line in lines[5:7]]
    assert means == [pytest.approx(82, abs=2), pytest.approx(90, abs=2)]
    records = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert sum("valid_accuracy" in r for r in records) == 500
    assert [r["valid_accuracy_mean"] * 100 for r in records if r["kind"] == "epoch"] == pytest.approx(
        means, abs=0.01
    )


def test_options_come_from_preset_file_and_command_line(small: str, tmp_path: Path) -> None:
    Path("mine.toml").write_text('lr = 0.25\nbatch-size = 8\ndata = "small.npz"')
    args = ["train", "--preset", "lecture", "--config", "mine.toml", "--lr", "0.5", "--momentum", "0.5"]
    assert main([*args, "--out", "run"]) == 0
    saved = Config(**read("run/config.toml"))
    assert saved.lr == 0.5  # command line, over the file's 0.25, over the preset's 0.001
    assert saved.batch_size == 8  # the file, over the preset's 32
    assert saved.epochs == 2  # the preset, over the default 5
    assert saved.split_seed == 0  # the default
    assert (saved.momentum, saved.nesterov) == (0.5, False)
    # a value given on the command line counts even where it is the default's
    assert main([*args, "--epochs", "5", "--out", "again"]) == 0
    assert Config(**read("again/config.toml")).epochs == 5


def test_batches_in_parts(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", small, "--batch-size", "10", "--accumulate", "4", "--threads", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "cosine, batches of 10 in 4 parts; cpu, 1 thread"


def test_the_saved_config_repeats_the_run(small: str) -> None:
    assert (
        main(["train", "--data", small, "--epochs", "2", "--out", "a", "--hidden", "8", "4", "--seed", "3"])
        == 0
    )
    assert (
        main(["train", "--config", "a/config.toml"]) == 0
    )  # in a folder of its own: a is no option to repeat
    assert main(["train", "--config", "a/config.toml", "--out", "b"]) == 0
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()


def test_a_users_model_and_optimizer(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "from torch import nn, optim\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, shape, outputs):\n"
        "        super().__init__(shape[0], outputs)\n"
        "class MySGD(optim.SGD):\n"
        "    pass\n"
    )
    args = ["--data", small, "--epochs", "1", "--out", "run", "--model", "mine.py:Net"]
    assert (
        main(["train", *args, "--optimizer", "mine.py:MySGD", "--lr", "0.1", "--opt", "foreach=False"]) == 0
    )
    assert "mine.py:Net 10 parameters; MySGD lr 0.1" in capsys.readouterr().out
    assert main(["predict", "run", small]) == 0  # the model is found again
    assert main(["train", *args[:4], "--optimizer", "torch.optim:AdamW", "--opt", "betas=(0.5,0.9)"]) == 0


def test_a_regression(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.RandomState(0).randn(200, 3)
    np.savez("line.npz", x=x, y=x @ [1.0, 2.0, 3.0])
    args = ["--data", "line.npz", "--task", "regression", "--model", "linear", "--epochs", "20"]
    assert main(["train", *args, "--batch-size", "8", "--weight-decay", "0", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "R²" in out
    assert "validation R² 1.0000 after 20 epochs" in out
    assert main(["predict", "run", "line.npz"]) == 0
    heading, *lines, last = capsys.readouterr().out.splitlines()
    assert heading.split() == ["row", "predicted", "y"]
    assert last == "R² 1.0000 of 200 rows"
    values = [float(line.split()[1]) for line in lines]
    assert values == pytest.approx(list(x @ [1.0, 2.0, 3.0]), abs=0.01)


def test_a_curve_is_learned_by_the_defaults_and_an_older_run_keeps_its_lr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = np.random.RandomState(0).uniform(0, 3000, (3000, 1))
    np.savez("curve.npz", x=x, y=np.sin(x / 600))
    for seed in "012":
        args = ["--data", "curve.npz", "--task", "regression", "--threads", "1", "--seed", seed]
        assert main(["train", *args, "--out", seed]) == 0  # by the lr of a classification it diverged
        assert json.loads(Path(seed, "metrics.jsonl").read_text().splitlines()[-2])["valid_r2"] > 0.99
    assert "SGD lr 0.01, momentum 0.9" in capsys.readouterr().out
    assert "lr = 0.01\n" in Path("0/config.toml").read_text()
    older = (
        Path("0/config.toml")
        .read_text()
        .replace("lr = 0.01", "lr = 0.004")
        .replace("epochs = 5", "epochs = 1")
    )
    Path("older.toml").write_text(older)
    assert main(["train", "--config", "older.toml", "--out", "again"]) == 0
    assert "SGD lr 0.004, momentum 0.9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--data", "mnist10k"], "Unknown data 'mnist10k'; did you mean 'mnist-10k'? Known: "),
        (["--model", "mpl"], "Unknown model 'mpl'; did you mean 'mlp'? Known: cnn, "),
        (["--model", "net.py:Net"], "There is no file 'net.py' to take the model from."),
        (
            ["--optimizer", "torch.optim:Adan"],
            "Unknown optimizer 'Adan' in torch.optim; did you mean 'Adam'? Known: ASGD, ",
        ),
        (["--optimizer", "adam"], "Unknown optimizer 'adam'; did you mean 'torch.optim:Adam'?"),
        (["--opt", "momentun=0.9"], "Unknown option 'momentun' of SGD; did you mean 'momentum'? Known: "),
        (["--opt", "lr"], "The option 'lr' is not of the form name=value, such as momentum=0.9."),
        (["--opt", "lr=1"], "The optimizer's lr has its own option: give --lr, not --opt."),
        (["--preset", "lectur"], "Unknown preset 'lectur'; did you mean 'lecture'? Known: lecture."),
        (["--config", "no.toml"], "Cannot read the config file 'no.toml': No such file or directory."),
        (["--lr", "-1"], "The lr must be a finite number above 0, not -1.0."),
        (["--lr", "nan"], "The lr must be a finite number above 0, not nan."),
        (["--momentum", "1.5"], "The momentum must be at least 0 and below 1, not 1.5."),
        (["--batch-size", "0"], "The batch size must be at least 1, not 0."),
        (
            ["--accumulate", "33"],
            "A batch of 32 rows cannot be taken in 33 parts; accumulate at most as many",
        ),
        (["--epochs", "-3"], "The number of epochs must be at least 1, not -3."),
        (["--epochs", "2.5"], "--epochs must be a whole number, not '2.5'."),
        (["--hidden", "8", "x"], "--hidden must be a whole number, not 'x'."),
        (["--device", "cuda:99"], "There is no device 'cuda:99' here; auto would use "),
        (
            ["--nesterov", "--momentum", "0"],
            "The optimizer SGD refuses its options: Nesterov momentum requires ",
        ),
        (
            ["--validate-every", "50"],
            "validate-every must be a number of steps or epochs, such as '50 steps' or '2 epochs', not '50'.",
        ),
        (
            ["--schedule", "one-cycle", "--warmup", "1 step"],
            "The one-cycle schedule has its own warm-up; ",
        ),
        (["--out", ""], "The run folder must be a path, not ''."),
        (["--data-dir", ""], "The data dir must be a path, not ''."),
        (["--momentun", "0.5"], "Unknown option --momentun; did you mean --momentum?"),
        (["--schedule", "linear"], "Unknown value 'linear' of --schedule; known: constant, cosine, "),
        (["--lr", "fast"], "--lr must be a number, not 'fast'."),
    ],
)
def test_bad_input_is_one_sentence(
    args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(capsys, *args).startswith(sentence)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (
            [[1.0, np.nan]] * 9,
            [0, 1, 0] * 3,
            "x of small.npz holds nan in row 0, position (1,); expected finite",
        ),
        ([[1.0, 2.0]] * 9, [0, 1], "x of small.npz holds 9 rows but y of small.npz holds 2; each input"),
        ([[1.0, 2.0]] * 9, [0, 1, -1] * 3, "y of small.npz holds label -1 in row 2; expected classes"),
    ],
)
def test_data_that_cannot_be_used(
    x: list[list[float]], y: list[int], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("small.npz", x=np.array(x), y=np.array(y))
    assert failed(capsys, "--data", "small.npz").startswith(sentence)


def test_a_folder_that_holds_a_run(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", small, "--epochs", "1", "--out", "run"]) == 0
    before = Path("run/metrics.jsonl").read_bytes()
    assert (
        failed(capsys, "--data", small, "--out", "run")
        == "The folder 'run' already holds a run; resume it, or choose a new folder."
    )
    assert Path("run/metrics.jsonl").read_bytes() == before


def test_a_folder_that_cannot_be_written(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert failed(capsys, "--data", small, "--out", "file/run") == (
        "Cannot write 'file/run': Not a directory; choose another folder."
    )


def test_a_full_disk(small: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert failed(capsys, "--data", small, "--out", "run") == (
        "Cannot write 'run/environment.json': No space left on device;"
        " choose another folder, or free some space there."
    )


def test_a_diverged_loss(capsys: pytest.CaptureFixture[str]) -> None:
    text = failed(capsys, "--lr", "1e12", "--threads", "1", "--out", "run", code=3)
    assert text.startswith("The loss became ")
    assert text.endswith(
        "(epoch 1); try a smaller lr than 1e+12, such as 1e+11, or clip the gradient's norm to 1;"
        " the model of step 0 is kept in run."
    )
    assert all(p.isfinite().all() for p in _weights("run").values())
    assert json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1]) == {
        "kind": "end",
        "status": "diverged",
        "why": text.removesuffix("; the model of step 0 is kept in run."),
        "lr": 1e11,
    }


def _weights(run: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(f"{run}/model.safetensors")


def test_debug_shows_the_traceback() -> None:
    from surefoot.errors import InputError

    with pytest.raises(InputError):
        main(["train", "--model", "mpl", "--debug"])


def test_ctrl_c_saves_what_was_done() -> None:
    command = [
        sys.executable,
        "-m",
        "surefoot",
        "train",
        "--epochs",
        "1000",
        "--threads",
        "1",
        "--out",
        "run",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:  # a few epochs in
        if line.split()[:1] == ["2/1000"]:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    told, _, err = err.partition("\n")
    assert told == "surefoot: stopping after this step; a second Ctrl-C stops at once"
    assert err.startswith("surefoot: Stopped at step ")
    assert err.endswith(
        " of 250,000; the results so far are saved in run.\nTo continue: surefoot resume run\n"
    )
    records = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    steps = [r["step"] for r in records if r["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert f"Stopped at step {len(steps):,} of" in err
    assert records[-1] == {"kind": "end", "status": "interrupted"}
    assert Path("run/model.safetensors").exists()
    assert Path("run/curves.png").exists()


def test_the_default_run_imports_nothing_that_it_does_not_need(small: str) -> None:
    code = (
        "import sys; from surefoot.cli import main; "
        f"main(['train', '--data', '{small}', '--epochs', '1', '--schedule', 'cosine', '--clip', '1']); "
        "heavy = {'torch._dynamo', 'torch._inductor', 'matplotlib.pyplot', 'sklearn', 'pandas', 'scipy', "
        "'tensorboard', 'PIL.ImageTk', 'torch.distributed.fsdp'}; "
        "print('heavy:', *sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["predict", "--help"], ["runs", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        f"import sys; from surefoot.cli import main; main({args!r}); "
        "print('heavy:', *sorted({'torch', 'numpy', 'matplotlib', 'sympy', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_every_option_is_in_the_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    monkeypatch.setenv("COLUMNS", "100")
    assert main(["train", "--help"]) == 0
    words = capsys.readouterr().out.split()
    options = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Config)}
    assert options | {"--preset", "--config"} <= set(words)


def test_a_taken_folder_is_told_before_any_work(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", small, "--epochs", "1", "--out", "run"]) == 0
    assert failed(capsys, "--data", "nothing.npz", "--out", "run") == (
        "The folder 'run' already holds a run; resume it, or choose a new folder."
    )


def test_the_heading_tells_further_options_and_that_a_batch_is_all(
    small: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--optimizer", "torch.optim:AdamW", "--lr", "0.01", "--opt", "betas=(0.5,0.75)"]
    assert main(["train", "--data", small, "--epochs", "1", "--batch-size", "1000", *args]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].endswith("; AdamW lr 0.01, weight decay 0.01, betas (0.5, 0.75)")
    assert out[2].startswith("cosine, batches of 1,000, all rows in one; cpu, ")


OWN = """
from torch import nn, optim
class Net(nn.Linear):
    def __init__(self, shape, outputs):
        super().__init__(shape[0], outputs)
    def forward(self, x):
        if self.training and x.requires_grad is False and FAULTY:
            raise ValueError("no\\ndata.")
        return super().forward(x)
class Loose(optim.SGD):
    def step(self, closure=None):
        return loss
FAULTY = False
"""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--optimizer", "own.py:Loose", "--lr", "0.1"], "The optimizer 'own.py:Loose' raises NameError: name"
         " 'loss' is not defined (own.py, line 12); `surefoot check own.py:Loose` says more."),
        (["--model", "own.py:Net"], "The model 'own.py:Net' raises ValueError: no (own.py, line 8)."),
    ],
)  # fmt: skip
def test_what_a_user_s_class_raises_is_one_sentence(
    options: list[str], sentence: str, small: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.py").write_text(OWN.replace("FAULTY = False", f"FAULTY = {options[0] == '--model'}"))
    assert main(["train", "--data", small, "--epochs", "1", *options]) == 2
    assert capsys.readouterr().err == f"surefoot: {sentence}\n"


def test_an_own_models_dropout_is_its_own(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, outputs, dropout=0.0):\n"
        "        print('dropout', dropout)\n"
        "        super().__init__(4, outputs)\n"
        "    def forward(self, x):\n"
        "        return super().forward(x)\n"
    )
    common = ["train", "--data", small, "--epochs", "1", "--model", "net.py:Net"]
    for more, said in (([], "0.0"), (["--dropout", "0.3"], "0.3")):
        assert main([*common, *more]) == 0
        assert f"dropout {said}\n" in capsys.readouterr().out


def test_options_that_would_do_nothing(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(80.0).reshape(40, 2)
    y = np.arange(40) % 2
    np.savez("own.npz", x=x, y=y, x_test=x, y_test=y)
    assert failed(capsys, "--data", "own.npz", "--split-seed", "5").startswith(
        "The data have their own validation rows, so a split-seed of 5 has no effect;"
    )
    assert failed(capsys, "--data", small, "--hidden") == (
        "--hidden has no sizes; give some, such as 256 128, or leave it out."
    )
    assert failed(capsys, "--data", small, "--device", "meta").startswith("There is no device 'meta' here")


@pytest.mark.parametrize(
    ("system", "typed"),
    [("linux", "'my runs/it'"), ("win32", '"my runs/it"')],  # cmd knows no single quotes
)
def test_how_to_go_on_can_be_typed_in_the_systems_shell(
    system: str, typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: Config) -> None:
        run = Run("it", "loss")
        run.folder = Path("my runs/it")
        monkeypatch.setattr(sys, "platform", system)
        raise Interrupted("Stopped.", run)

    monkeypatch.setattr(job, "train", stopped)
    assert main(["train"]) == 130
    assert capsys.readouterr().err == f"surefoot: Stopped.\nTo continue: surefoot resume {typed}\n"
