"""Large batches in parts: each step holds an eighth of the activations, and the run is the same."""

import torch
from torch import nn

import surefoot

torch.manual_seed(0)
x = torch.randn(4000, 20)
y = (x @ torch.randn(20, 5)).argmax(1)


def trained(accumulate):
    """A model after 20 epochs of batches of 1,000 rows, each taken in so many parts."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 5))
    surefoot.fit(model, (x, y), epochs=20, batch_size=1000, accumulate=accumulate, progress=False)
    return nn.utils.parameters_to_vector(model.parameters())


whole, in_parts = trained(1), trained(8)
print(f"weights of up to {whole.abs().max():.2f} differ by at most {(whole - in_parts).abs().max():.0e}")
