"""torch on a GPU: a plain loop over batches in memory; the same compiled; or what the device can compute.

    python gpu_torch.py plain|compiled|bound DEVICE BATCH

requires: torch
"""

import json
import sys
import time

import numpy as np
import torch
from job import EPOCHS, LR, MOMENTUM, say
from torch.nn import functional as F
from torch_model import mlp

what, device, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])


def wait() -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def bound() -> float:
    """Floating point operations a second of a large float32 matrix product, the best of ten."""
    n = 8192 if device != "cpu" else 1024
    a, b, best = torch.randn(n, n, device=device), torch.randn(n, n, device=device), float("inf")
    for _ in range(13):
        wait()
        start = time.perf_counter()
        a @ b
        wait()
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


if what == "bound":
    print(json.dumps({"flops": bound()}))
    sys.exit()
torch.manual_seed(0)
with np.load(".gpu.npz") as file:
    x, y, x_valid, y_valid = (torch.from_numpy(file[k]).to(device) for k in ("x", "y", "x_valid", "y_valid"))
model = mlp().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
if what == "compiled":
    forward = torch.compile(lambda x, y: F.cross_entropy(model(x), y), mode="reduce-overhead")
else:
    forward = lambda x, y: F.cross_entropy(model(x), y)  # noqa: E731
epochs = []
for _ in range(EPOCHS + 1):  # the first is warm-up
    wait()
    start = time.perf_counter()
    order = torch.randperm(len(x), device=device)
    xs, ys = x[order], y[order]
    for i in range(0, len(x), batch):
        loss = forward(xs[i : i + batch], ys[i : i + batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wait()
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
