"""torch, the whole step under torch.compile: forward, loss and backward, then the optimizer's step.

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
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
forward = torch.compile(lambda x, y: F.cross_entropy(model(x), y))
update = torch.compile(optimizer.step)


def step(x, y):
    forward(x, y).backward()
    update()
    optimizer.zero_grad()


for _ in range(3):
    step(x[:BATCH], y[:BATCH])
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    order = torch.randperm(len(x))
    xs, ys = x[order], y[order]
    for i in range(0, len(x), BATCH):
        step(xs[i : i + BATCH], ys[i : i + BATCH])
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
