"""The main job as a whole process, start to exit, against what it cannot do without.

    python benchmarks/pipeline.py
    python benchmarks/pipeline.py --pairs 15 -- --epochs 1      # after --: options for surefoot train

Each round runs `python -c "import torch"`, then `surefoot train`, then the help of both. The training's own
time is the run's: the sum of its epochs, as its metrics.jsonl has them. The ratio is taken within each round,
so that a machine that is slower for a minute does not count. Prints a table, writes pipeline.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

SUREFOOT = [sys.executable, "-m", "surefoot"]
AIM = 1.5  # the whole process, at most, in units of importing torch plus training
HELP_AIM = 0.3  # seconds


def seconds(command: list[str], cwd: str) -> float:
    """How long a process takes, start to exit; one that fails ends the benchmark with what it said."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return taken


def one_round(options: list[str]) -> dict[str, float]:
    """Every process once."""
    with tempfile.TemporaryDirectory() as folder:
        taken = {
            "import torch": seconds([sys.executable, "-c", "import torch"], folder),
            "surefoot train": seconds([*SUREFOOT, "train", "--out", "run", *options], folder),
            "surefoot --help": seconds([*SUREFOOT, "--help"], folder),
            "surefoot train --help": seconds([*SUREFOOT, "train", "--help"], folder),
        }
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    epochs = [record for record in map(json.loads, lines) if record["kind"] == "epoch"]
    taken["training's own"] = sum(epoch["seconds"] for epoch in epochs)
    taken["validation accuracy"] = epochs[-1]["valid_accuracy"]
    taken["ratio"] = taken["surefoot train"] / (taken["import torch"] + taken["training's own"])
    return taken


def main() -> None:
    """Measure, print, write."""
    # what pip installs comes compiled to bytecode; a checkout would be compiled anew in each process
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pairs", type=int, default=9, help="rounds that count [9]; one before them does not"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("options", nargs="*", help="options for surefoot train, after --")
    args = parser.parse_args()

    one_round(args.options)  # warms the disk's cache and writes the .pyc files
    rounds = [one_round(args.options) for _ in range(args.pairs)]
    columns = {name: [taken[name] for taken in rounds] for name in rounds[0]}
    middle = {name: statistics.median(values) for name, values in columns.items()}

    def row(name: str, says: str = "", form: str = "{:.2f} s") -> None:
        low, mid, high = map(form.format, (min(columns[name]), middle[name], max(columns[name])))
        print(f"  {name:24}{mid:>9}   {low:>9} … {high:<9}  {says}".rstrip())

    print(f"{' '.join(['surefoot train', *args.options])}: {args.pairs} rounds, median, smallest … largest\n")
    row("import torch", 'python -c "import torch", a whole process')
    row("training's own", "all epochs, validation included, by the run's own clock")
    row("surefoot train", "the whole process, start to exit, run folder and curves written")
    row("ratio", f"whole / (import torch + training's own); aim: at most {AIM}", "{:.2f}")
    row("surefoot --help", f"aim: less than {HELP_AIM} s")
    row("surefoot train --help", f"aim: less than {HELP_AIM} s")
    print(f"\n  validation accuracy {middle['validation accuracy']:.2%}")

    machine = {
        "python": platform.python_version(),
        "torch": version("torch"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }
    result = {"machine": machine, "options": args.options, "medians": middle, "rounds": rounds}
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
