"""PyTorch-Ignite: create_supervised_trainer over a DataLoader.

requires: torch pytorch-ignite
"""

import time

import torch
from ignite.engine import create_supervised_trainer
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch_model import mlp

torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
model = mlp()
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    trainer.run(loader, max_epochs=1)
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
