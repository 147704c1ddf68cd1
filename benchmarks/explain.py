"""How long an exact replay and an explanation take.

python benchmarks/explain.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from fractions import Fraction

from surefoot.explain.problem.parse import parse
from surefoot.trace import Script, replay

ROUNDS = 9
LECTURE = [
    "sgd",
    "mean(3*a**3 - b**2)",
    "--at",
    "a=2,3",
    "--at",
    "b=6,4",
    "--lr",
    "1e-3",
    "--momentum",
    "0.9",
]


def main() -> None:
    """Print the median of each, of rounds in turns."""
    # what pip installs comes compiled to bytecode; a checkout would be compiled anew in each process
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    start = {"w": [Fraction(k, 7) for k in range(1, 11)]}
    problem = parse("mean(w**2)", start)
    problem.gradient(problem.start)  # sympy differentiates once
    script = Script.of(problem.start, function=problem, steps=50, lr=1e-3, momentum=0.9)
    jobs = {
        "exact replay, 50 steps of ten elements, gradient checked at each": lambda: replay(script, "torch"),
        "python -c 'import sympy'": lambda: run("-c", "import sympy"),
        "surefoot explain, two steps, whole process": lambda: run("-m", "surefoot", "explain", *LECTURE),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - began)
    for name, times in seconds.items():
        print(f"{statistics.median(times):6.3f} s  ({min(times):.3f} … {max(times):.3f})  {name}")


def run(*arguments: str) -> None:
    """Run Python as a process of its own."""
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
