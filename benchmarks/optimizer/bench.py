"""Time one optimizer step: surefoot.SGD beside torch.optim.SGD's three paths and a C loop on flat buffers.

    python benchmarks/optimizer/bench.py [--rounds 60] [--threads 2] [--device cpu] [--clock wall]

All contestants of a shape take turns in one process, in an order that is shuffled in every round; the table
gives medians. The C loop (bound.c) does the same update on flat buffers and is what the memory allows; on a
GPU the bound is the time to move the same bytes at the measured copy bandwidth. Writes a .json beside
this file and a .png to docs/pictures.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import surefoot

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parents[1] / "docs" / "pictures"
LR, MOMENTUM, DECAY = 1e-3, 0.9, 1e-4
OPTIONS: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY}


def resnet50() -> list[tuple[int, ...]]:
    """Shapes of ResNet-50's 161 parameters: 25.6 million numbers."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            for shape in ((width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)):
                shapes += [shape, shape[:1], shape[:1]]
            if block == 0:
                shapes += [(4 * width, inputs, 1, 1), (4 * width,), (4 * width,)]
            inputs = 4 * width
    return [*shapes, (1000, 2048), (1000,)]


def gpt2() -> list[tuple[int, ...]]:
    """Shapes of GPT-2 small's 148 parameters: 124 million numbers."""
    d = 768
    layer: list[tuple[int, ...]] = [
        (d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)
    ]  # fmt: skip
    return [(50257, d), (1024, d), *(layer * 12), (d,), (d,)]


SHAPES: dict[str, list[tuple[int, ...]]] = {
    "MLP 784-256-10 (4 tensors)": [(256, 784), (256,), (10, 256), (10,)],
    "2,000 tensors of 64": [(64,)] * 2000,
    "ResNet-50 (161 tensors)": resnet50(),
    "GPT-2 small (148 tensors)": gpt2(),
}


def c_loop() -> Callable[..., None]:
    """Build bound.c with the compiler that is there, to run on torch's own threads.

    With a second OpenMP library in the process, the idle threads of one would hold up the other's.
    """
    folder = Path(tempfile.mkdtemp())
    cc, torch_lib = os.environ.get("CC", "cc"), Path(torch.__file__).parent / "lib"
    flags = ["-O3", "-march=native", "-ffast-math", "-fPIC"]
    subprocess.run([cc, *flags, "-fopenmp", "-c", HERE / "bound.c", "-o", folder / "bound.o"], check=True)
    openmp = list(torch_lib.glob("libgomp*"))
    for library in openmp:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    link = [] if openmp else ["-fopenmp"]
    subprocess.run([cc, "-shared", *link, folder / "bound.o", "-o", folder / "bound.so"], check=True)
    function = ctypes.CDLL(str(folder / "bound.so")).sgd
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t] + [ctypes.c_float] * 3
    return function  # type: ignore[no-any-return]


def step_of(make: Any, values: list[torch.Tensor], **options: Any) -> Callable[[], Any]:
    """A step on parameters and gradients that all contestants share, with state of its own."""
    params = list(map(torch.nn.Parameter, values))
    optimizer = make(params, **OPTIONS, **options)
    for p, value in zip(params, values, strict=True):
        p.grad = value.grad
    step: Callable[[], Any] = optimizer.step
    return step


def flat_step(values: list[torch.Tensor]) -> Callable[[], Any]:
    """A step with everything end to end, on copies: the others' parameters must stay where they are."""
    params = [torch.nn.Parameter(value.clone()) for value in values]
    optimizer = surefoot.SGD(params, **OPTIONS)
    for p, value in zip(params, values, strict=True):
        p.grad = value.grad
    optimizer.flatten()
    return optimizer.step


def bound(shapes: list[tuple[int, ...]], device: str) -> Callable[[], Any]:
    """The C loop, or on a GPU a copy of as many bytes: 3 reads and 2 writes of 4 bytes each."""
    n = sum(map(math.prod, shapes))
    if device != "cpu":
        source, target = (torch.empty(5 * n // 2, device=device) for _ in range(2))
        return lambda: target.copy_(source)
    w, g, b = torch.randn(n), torch.randn(n) * 1e-3, torch.zeros(n)
    loop = c_loop()
    return lambda: loop(w.data_ptr(), g.data_ptr(), b.data_ptr(), n, LR, MOMENTUM, DECAY)


def measure(
    contestants: dict[str, Callable[[], Any]], rounds: int, device: str, now: Callable[[], float]
) -> dict[str, float]:
    """Median time of one step in µs, the contestants taking turns."""
    sync = torch.cuda.synchronize if device != "cpu" else (lambda: None)

    def clock(step: Callable[[], Any], times: int) -> float:
        sync()
        start = now()
        for _ in range(times):
            step()
        sync()
        return (now() - start) / times * 1e6

    for step in contestants.values():
        clock(step, 3)
    # enough steps for 2 ms, so that the clock and a cold start do not count
    times = {name: max(1, int(2000 / clock(step, 3))) for name, step in contestants.items()}
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    rng = random.Random(0)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            samples[name].append(clock(contestants[name], times[name]))
    return {name: statistics.median(values) for name, values in samples.items()}


def contestants_for(shapes: list[tuple[int, ...]], device: str) -> dict[str, Callable[[], Any]]:
    values = [torch.randn(shape, device=device) for shape in shapes]
    for value in values:
        value.grad = torch.randn_like(value) * 1e-3
    steps = {
        "torch default": step_of(torch.optim.SGD, values),
        "torch foreach": step_of(torch.optim.SGD, values, foreach=True),
        "torch fused": step_of(torch.optim.SGD, values, fused=True),
        "surefoot": step_of(surefoot.SGD, values),
        "surefoot, flattened": flat_step(values),
        "bound": bound(shapes, device),
    }
    if device != "cpu":
        captured = step_of(surefoot.SGD, values, capturable=True)
        captured()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured()
        steps["surefoot, captured"] = graph.replay
    return steps


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(results: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(results.values())))
    head = ["one step, µs", *names, "surefoot ÷ bound", "torch default ÷ surefoot"]
    rows = [
        [shape, *(f"{x:,.0f}" for x in r.values()), f"{r['surefoot'] / r['bound']:.2f}",
         f"{r['torch default'] / r['surefoot']:.1f}"]
        for shape, r in results.items()
    ]  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def span(us: float) -> str:
    """A time as a person writes it."""
    if us < 1000:
        return f"{us:.0f} µs"
    return f"{us / 1000:.1f} ms" if us < 100_000 else f"{us / 1000:.0f} ms"


def plot(results: dict[str, dict[str, float]], about: dict[str, Any], path: Path) -> None:
    """Each contestant's time as a multiple of the bound, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = {
        "torch default": "#cccccc", "torch foreach": "#999999", "torch fused": "#666666",
        "surefoot": "#0072b2", "surefoot, flattened": "#56b4e9", "surefoot, captured": "#009e73",
    }  # fmt: skip
    names = [n for n in next(iter(results.values())) if n != "bound"]
    fig, ax = plt.subplots(figsize=(8, 0.24 * len(names) * len(results) + 1.4), layout="constrained")
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        ratios = [r[name] / r["bound"] for r in results.values()]
        places = [j + (i - (len(names) - 1) / 2) * height for j in range(len(results))]
        ax.barh(places, [x - 1 for x in ratios], height * 0.9, left=1, color=colours[name], label=name)
        for y, x, r in zip(places, ratios, results.values(), strict=True):
            ax.text(
                max(x, 1) * 1.06,
                y,
                f"{x:.2f} ×  ({span(r[name])})" if x < 10 else f"{x:.0f} ×  ({span(r[name])})",
                va="center",
                fontsize=8,
            )
    ax.set_yticks(
        range(len(results)), [f"{shape}\nC loop {span(r['bound'])}" for shape, r in results.items()]
    )
    ax.set_xscale("log")
    ax.set_xlim(0.9, max(max(r.values()) / r["bound"] for r in results.values()) * 8)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.xaxis.set_major_formatter("{x:g} ×")
    ax.set_xlabel("time of one step, as a multiple of a C loop on flat buffers")
    ax.set_title(
        f"{about['machine']}, threads: {about['threads']}, torch {about['torch']}", fontsize=9, loc="left"
    )
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper right", fontsize=9)
    fig.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall",
        help="cpu: the time this process was at work, for a machine that others use; with one thread only",
    )  # fmt: skip
    args = parser.parse_args()
    if args.clock == "cpu" and (args.threads != 1 or args.device != "cpu"):
        parser.error("--clock cpu counts one thread; add --threads 1")
    now = time.perf_counter if args.clock == "wall" else time.thread_time
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    torch.set_num_threads(args.threads)
    results = {}
    for shape, shapes in SHAPES.items():
        torch.manual_seed(0)
        results[shape] = measure(contestants_for(shapes, args.device), args.rounds, args.device, now)
        print(shape, {name: round(x, 1) for name, x in results[shape].items()}, flush=True)
    machine = cpu_name() if args.device == "cpu" else torch.cuda.get_device_name()
    about = {
        "machine": machine, "threads": args.threads, "clock": args.clock, "rounds": args.rounds,
        "torch": torch.__version__,
    }  # fmt: skip
    stem = "sgd_gpu" if args.device != "cpu" else "sgd_one_thread" if args.clock == "cpu" else "sgd"
    (HERE / f"{stem}.json").write_text(json.dumps({"about": about, "us": results}, indent=2) + "\n")
    plot(results, about, PICTURES / f"{stem}.png")
    print(f"\n{about}\n\n{table(results)}")


if __name__ == "__main__":
    main()
