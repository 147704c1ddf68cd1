"""The same job by surefoot and by its peers: own environments, whole processes, interleaved rounds.

    python benchmarks/peers/run.py                      # all, 5 rounds
    python benchmarks/peers/run.py --only sklearn_mlp jax_scan --rounds 9

It makes the environments in .venvs/ beside this file, prints the table, writes results.json and results.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VENVS = HERE / ".venvs"
PEERS = [
    "sklearn_mlp", "jax_scan", "torch_memory", "torch_direct", "torch_lecture", "torch_lecture_valid",
    "torch_compiled", "skorch_net", "ignite_engine", "accelerate_loop", "lightning_trainer", "keras_fit",
]  # fmt: skip
JOB = ["--epochs=2", "--batch-size=32", "--lr=0.05", "--momentum=0.9", "--weight-decay=0"]
JOB += ["--no-nesterov", "--schedule=constant"]
OURS = {
    "surefoot": JOB,
    "surefoot_compiled": [*JOB, "--compile", "on"],
    "surefoot_lecture": ["--preset", "lecture"],
}


def make_job() -> None:
    """job.npz: the split and the standardised pixels, so that peers import nothing of ours."""
    from surefoot.train.data import load

    data = load("mnist-10k")
    x, x_valid = (data.scaling(s.x).reshape(len(s.x), -1).numpy() for s in (data.train, data.valid))
    np.savez(HERE / "job.npz", x=x, y=data.train.y.numpy(), x_valid=x_valid, y_valid=data.valid.y.numpy())


def environment(peer: str) -> Path:
    """The peer's own Python, made when it is not there; what it needs stands in its docstring."""
    wants = next(
        line for line in (HERE / f"{peer}.py").read_text().splitlines() if line.startswith("requires:")
    )
    packages = sorted({*wants.removeprefix("requires:").split(), "numpy"})
    python = VENVS / "-".join(packages) / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        print(f"installing {', '.join(packages)} …", flush=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *packages], check=True
        )
    return python


def one(command: list[str | Path], cwd: Path) -> tuple[float, str]:
    """Run a command; its seconds, start to exit, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, "TQDM_MININTERVAL": "0.1"}
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return seconds, done.stdout


def ours(options: list[str], round: int) -> dict[str, object]:
    """One run of the command `surefoot train`; its epochs as its own metrics tell them."""
    out = HERE / ".runs" / f"{time.time_ns()}"
    seconds, _ = one([Path(sys.executable).with_name("surefoot"), "train", *options, "--out", out], HERE)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    return {
        "whole": seconds,
        # a peer's epoch is training alone, but for the lecture's, which validates after every batch
        "epochs": [e["seconds" if "lecture" in options else "train_seconds"] for e in epochs],
        "accuracy": epochs[-1]["valid_accuracy"],
    }


def main() -> None:
    """Measure, print, write."""
    # what pip installs comes compiled to bytecode; a checkout would be compiled anew in each process
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    make_job()
    pythons = {p: environment(p) for p in args.only if p in PEERS}
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in args.only}
    for round in range(-1, args.rounds):  # the first round warms the disk's cache and is not counted
        for name in args.only:
            if name in OURS:
                run = ours(OURS[name], round)
            else:
                seconds, said = one([pythons[name], f"{name}.py"], HERE)
                run = {"whole": seconds, **json.loads(said.splitlines()[-1])}
            if round >= 0:
                runs[name].append(run)
        print(f"round {round + 1} of {args.rounds}", flush=True)
    rows = [summary(name, of) for name, of in runs.items()]
    rows.sort(key=lambda r: r["whole"])
    print(f"\n{'':22} {'whole process':>14} {'epoch':>10} {'per step':>10} {'accuracy':>9}")
    for r in rows:
        print(
            f"{r['name']:22} {r['whole']:12.2f} s {r['epoch'] * 1e3:7.0f} ms"
            f" {r['epoch'] / 250 * 1e6:7.0f} µs {r['accuracy']:9.4f}"
        )
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "rounds": args.rounds}
    (HERE / "results.json").write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    draw(rows)


def summary(name: str, runs: list[dict[str, object]]) -> dict[str, object]:
    """Medians; an epoch is the last one, when everything is warm."""
    return {
        "name": name,
        "whole": statistics.median(r["whole"] for r in runs),
        "epoch": statistics.median(r["epochs"][-1] for r in runs),
        "accuracy": statistics.median(r["accuracy"] for r in runs),
        "all": runs,
    }


def draw(rows: list[dict[str, object]]) -> None:
    """Side by side: the whole process, and one epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.38 * len(rows) + 1.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = rows[::-1]
    names = [str(r["name"]).replace("_", " ") for r in rows]
    colors = ["#0072B2" if r["name"] in OURS else "#999999" for r in rows]
    whole = left.barh(names, [r["whole"] for r in rows], color=colors)
    left.bar_label(whole, fmt="%.2f", padding=3)
    left.set_title("whole process [s]", loc="left", fontsize=10)
    left.margins(x=0.16)
    epochs = [r["epoch"] * 1e3 for r in rows]
    right.scatter(epochs, names, color=colors)  # bars have no beginning on a logarithmic axis
    for x, name in zip(epochs, names, strict=True):
        right.annotate(f"{x:,.0f}", (x, name), (7, 0), textcoords="offset points", va="center", fontsize=9)
    right.set_xscale("log")
    right.set_title("one epoch [ms], logarithmic", loc="left", fontsize=10)
    right.margins(x=0.2)
    right.grid(axis="x", color="#dddddd")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.01)
        ax.set_axisbelow(True)
    figure.savefig(HERE / "results.png", dpi=150)


if __name__ == "__main__":
    main()
