"""One thread, two, or what surefoot finds, for a small model on a quiet machine and beside a busy neighbour.

    python benchmarks/threads.py

The job of benchmarks/peers, eager and compiled, by one thread, by two, and with no --threads, in turns; each
also while a loop keeps one core busy. The figure is the median epoch of a run, and of those the median over
the rounds. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JOB = [
    "--epochs", "5", "--batch-size", "32", "--lr", "0.05", "--momentum", "0.9", "--weight-decay", "0",
    "--no-nesterov", "--schedule", "constant",
]  # fmt: skip


def epoch(threads: int | None, compiled: bool) -> float:
    """Milliseconds of the median epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "surefoot", "train", *JOB, "--out", "run"]
        command += [] if threads is None else ["--threads", str(threads)]
        command += ["--compile", "on" if compiled else "off"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = map(json.loads, lines)
    return statistics.median(1e3 * r["train_seconds"] for r in records if r["kind"] == "epoch")


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """A process that computes without end, if there is to be one."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    kinds = [(compiled, threads, busy) for compiled in (0, 1) for threads in (1, 2, None) for busy in (0, 1)]
    epoch(1, compiled=True)  # its program is made and cached
    taken: dict[tuple[int, int | None, int], list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for compiled, threads, busy in kinds:
            with neighbour(bool(busy)):
                taken[compiled, threads, busy].append(epoch(threads, bool(compiled)))
    print(f"{os.cpu_count()} cores; one epoch, medians of {rounds} rounds (smallest … largest), ms\n")
    print(f"{'':22} {'quiet':>20} {'busy neighbour':>24}")
    for compiled in (0, 1):
        for threads in (1, 2, None):
            cells = [
                f"{statistics.median(t):6.0f} ({min(t):.0f} … {max(t):.0f})"
                for t in (taken[compiled, threads, busy] for busy in (0, 1))
            ]
            count = {1: "1 thread", 2: "2 threads", None: "as found"}[threads]
            name = f"{'compiled' if compiled else 'eager'}, {count}"
            print(f"{name:22} {cells[0]:>20} {cells[1]:>24}")


if __name__ == "__main__":
    main()
