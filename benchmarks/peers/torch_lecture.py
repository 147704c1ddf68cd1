"""torch as in the lecture: DataLoader, tqdm with the mean loss so far, torch.optim.SGD.

requires: torch tqdm
"""

import time

import torch
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import mlp
from tqdm import tqdm

torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
model = mlp()
optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
epochs = []
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
    epochs.append(time.perf_counter() - start)
model.eval()
with torch.no_grad():
    say(epochs, (model(x_valid).argmax(1) == y_valid).float().mean().item())
