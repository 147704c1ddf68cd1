"""What `surefoot check` costs as a whole process, beside importing torch: on the clock, and of processors.

python benchmarks/check.py [--rounds 5]

The subjects take turns, round by round. A check runs two processes beside its own; processors' time is that
of all three, so that it means something on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WRONG = "tests/mutants/nesterov_stored_in_buffer.py:SGD"
SUBJECTS = {
    "`import torch` and `torch._dynamo`, which any optimizer's first step imports": None,
    "`torch.optim:SGD`": ["torch.optim:SGD"],
    "`surefoot:SGD`": ["surefoot:SGD"],
    "`torch.optim:Adam`": ["torch.optim:Adam"],
    "`torch.optim:RMSprop`, eight options": ["torch.optim:RMSprop"],
    "a wrong one, shrunk and told: `nesterov_stored_in_buffer`": [WRONG, "--rule", "torch"],
    "`torch.optim:SGD --quick`": ["torch.optim:SGD", "--quick"],
    "`surefoot identify torch.optim:SGD`": ["torch.optim:SGD"],
}


def run(name: str, arguments: list[str] | None) -> tuple[float, float]:
    """Run one whole process; returns seconds on the clock, and of processors."""
    command = [sys.executable, "-c", "import torch, torch._dynamo"]
    if arguments is not None:
        verb = "identify" if "identify" in name else "check"
        command = [sys.executable, "-c", "from surefoot.cli import main; main()", verb, *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    _, _, used = os.wait4(process.pid, 0)
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def main() -> None:
    # what pip installs comes compiled to bytecode; a checkout would be compiled anew in each process
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds):
        for name, arguments in SUBJECTS.items():
            taken[name].append(run(name, arguments))
    print(f"| {rounds} rounds, in turns | on the clock | of processors |\n|---|---|---|")
    for name, times in taken.items():
        clock, processors = (statistics.median(t) for t in zip(*times, strict=True))
        print(f"| {name} | {clock:.2f} s | {processors:.2f} s |")


if __name__ == "__main__":
    main()
