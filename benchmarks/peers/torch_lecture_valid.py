"""torch as in the lecture, with the accuracy on the whole validation set after every batch.

requires: torch tqdm
"""

import time

import torch
from job import BATCH, EPOCHS, load, say
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import mlp
from tqdm import tqdm

torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
loader = DataLoader(TensorDataset(x, y), batch_size=BATCH)
valid = DataLoader(TensorDataset(x_valid, y_valid), batch_size=BATCH)
model = mlp()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
epochs, accuracy = [], 0.0
for _ in range(EPOCHS):
    start, losses = time.perf_counter(), []
    with tqdm(loader) as bar:
        for xs, ys in bar:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xs), ys)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            bar.set_postfix(loss=sum(losses) / len(losses))
            right = 0
            with torch.no_grad():
                for xv, yv in valid:
                    right += (model(xv).argmax(1) == yv).sum().item()
            accuracy = right / len(x_valid)
    epochs.append(time.perf_counter() - start)
say(epochs, accuracy)
