"""torch's autograd and the fused kernel called directly: no optimizer class, no data loader.

requires: torch
"""

import time

import torch
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from torch.nn import functional as F
from torch_model import mlp

torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
model = mlp()
params = list(model.parameters())
buffers = [torch.zeros_like(p) for p in params]
epochs, first = [], True
for _ in range(EPOCHS):
    start = time.perf_counter()
    order = torch.randperm(len(x))
    xs, ys = x[order].split(BATCH), y[order].split(BATCH)
    for xb, yb in zip(xs, ys, strict=True):
        grads = torch.autograd.grad(F.cross_entropy(model(xb), yb), params)
        with torch.no_grad():
            torch._fused_sgd_(
                params, list(grads), buffers, weight_decay=0.0, momentum=MOMENTUM, lr=LR, dampening=0.0,
                nesterov=False, maximize=False, is_first_step=first,
            )  # fmt: skip
        first = False
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
