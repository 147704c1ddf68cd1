"""Hugging Face accelerate around a plain loop.

requires: torch accelerate
"""

import time

import torch
from accelerate import Accelerator
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import mlp

torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
accelerator = Accelerator(cpu=True)
model = mlp()
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    for xs, ys in loader:
        optimizer.zero_grad()
        accelerator.backward(F.cross_entropy(model(xs), ys))
        optimizer.step()
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
