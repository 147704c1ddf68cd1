"""Whole MNIST on a GPU: surefoot, eager and as a CUDA graph, against torch's plain loop, compiled, and JAX.

    python benchmarks/peers/gpu.py                              # 5 rounds
    python benchmarks/peers/gpu.py --data-dir FOLDER            # its four IDX files are there already
    python benchmarks/peers/gpu.py --device cpu --data mnist-10k --rounds 1     # to try this script out

It prints images per second, also as a share of what the device's float32 arithmetic allows, and writes
gpu.json and gpu.png. JAX runs in this environment if it has one for the GPU, else in one made in .venvs/.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from job import HIDDEN
from run import HERE, JOB, environment, one, ours

# a row forward and back, two operations for each weight: the input needs no gradient
FLOPS = 2 * (2 * 784 * HIDDEN + 3 * HIDDEN * 10)
OURS = {"surefoot": "off", "surefoot, CUDA graph": "on"}
TORCH = {"torch, plain loop": "plain", "torch.compile": "compiled"}


def make_job(data: str, folder: Path | None) -> int:
    """.gpu.npz: the standardised pixels for the peers; how many rows an epoch has."""
    from surefoot.train.data import load

    found = load(data, data_dir=folder)
    x, x_valid = (found.scaling(s.x).reshape(len(s.x), -1).numpy() for s in (found.train, found.valid))
    np.savez(HERE / ".gpu.npz", x=x, y=found.train.y.numpy(), x_valid=x_valid, y_valid=found.valid.y.numpy())
    return len(x)


def python_with_jax() -> Path:
    """The Python that runs this, if its JAX sees a GPU; else one made for it."""
    seen = [sys.executable, "-c", "import jax, optax; jax.devices('gpu')"]
    if subprocess.run(seen, capture_output=True).returncode == 0:
        return Path(sys.executable)
    return environment("gpu_jax")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--data", default="mnist", choices=["mnist", "mnist-10k"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    on_gpu = args.device != "cpu"
    if on_gpu and not torch.cuda.is_available():
        parser.exit(2, "gpu.py: This comparison needs an NVIDIA GPU, and torch sees none here.\n")
    rows = make_job(args.data, args.data_dir)
    place = ["--data-dir", args.data_dir.resolve()] if args.data_dir else []
    options = [option for option in JOB if not option.startswith(("--epochs", "--batch-size"))]
    options += ["--epochs", "3", "--batch-size", str(args.batch_size)]
    options += ["--data", args.data, *place, "--device", args.device]
    here: list[str | Path] = [sys.executable, "gpu_torch.py"]
    size = [args.device, str(args.batch_size)]
    peers = {name: [*here, what, *size] for name, what in TORCH.items() if on_gpu or what == "plain"}
    if on_gpu:
        peers["JAX, jitted scan"] = [python_with_jax(), "gpu_jax.py", str(args.batch_size)]
    flops = json.loads(one([*here, "bound", *size], HERE)[1])["flops"]
    rates: dict[str, list[float]] = {name: [] for name in [*OURS, *peers]}
    accuracy: dict[str, float] = {}
    for round in range(args.rounds):
        for name in rates:
            if name in OURS:
                run = ours([*options, "--compile", OURS[name]], round)
            else:
                run = json.loads(one(peers[name], HERE)[1].splitlines()[-1])
            rates[name].append(rows / run["epochs"][-1])  # the last epoch: everything is warm
            accuracy[name] = run["accuracy"]
        print(f"round {round + 1} of {args.rounds}", flush=True)
    device = torch.cuda.get_device_name() if on_gpu else "cpu"
    print(f"\n{device}: float32 products at {flops / 1e12:.3g} TFLOP/s, {FLOPS:,} operations an image")
    print(f"{'':24} {'images a second':>16} {'of the bound':>13} {'accuracy':>9}")
    medians = sorted(((statistics.median(r), name) for name, r in rates.items()), reverse=True)
    for rate, name in medians:
        print(f"{name:24} {rate:16,.0f} {rate * FLOPS / flops:12.2%} {accuracy[name]:9.4f}")
    about = {"device": device, "torch": torch.__version__, "flops": flops, "batch_size": args.batch_size}
    result = {"about": about, "images_per_second": rates, "accuracy": accuracy}
    (HERE / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(medians[::-1], flops / FLOPS, device)


def draw(medians: list[tuple[float, str]], bound: float, device: str) -> None:
    """A dot for each, and a line where arithmetic ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.4 * len(medians) + 1.3), layout="constrained")
    ax = figure.subplots()
    for at, (rate, name) in enumerate(medians):
        ax.plot(rate, at, "o", color="#0072B2" if name in OURS else "#777777")
        ax.annotate(f"{rate:,.0f}", (rate, at), (7, 0), textcoords="offset points", va="center")
    ax.axvline(bound, color="#D55E00", linewidth=1)
    ax.text(bound, len(medians) - 0.5, "float32 arithmetic ", ha="right", va="top", color="#D55E00")
    ax.set_yticks(range(len(medians)), [name for _, name in medians])
    ax.set(xscale="log", xlim=(medians[0][0] / 2, bound * 1.5), ylim=(-0.5, len(medians) - 0.5))
    ax.grid(axis="x", color="#E5E5E5")
    ax.set_title(f"images a second, {device}", loc="left", fontsize=10)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    figure.savefig(HERE / "gpu.png", dpi=150)


if __name__ == "__main__":
    main()
