"""Your own model on your own data: surefoot.fit takes tensors, arrays, a Dataset or a DataLoader."""

import torch
from torch import nn

import surefoot

torch.manual_seed(0)
points = torch.rand(2000, 2) * 2 - 1
inside = (points.norm(dim=1) < 0.7).long()  # a disc in a square

model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
run = surefoot.fit(
    model,
    (points[:1600], inside[:1600]),
    (points[1600:], inside[1600:]),
    optimizer=lambda params: surefoot.SGD(params, lr=0.2, momentum=0.9, nesterov=True),
    schedule="cosine",
    epochs=8,
)
print(run)
run.plot().savefig("disc.png")
