"""skorch's NeuralNetClassifier.

requires: torch skorch
"""

import time

import torch
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from skorch import NeuralNetClassifier
from torch import nn
from torch_model import mlp

torch.manual_seed(0)
x, y, x_valid, y_valid = load()
net = NeuralNetClassifier(
    mlp(), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.SGD, lr=LR, optimizer__momentum=MOMENTUM,
    batch_size=BATCH, train_split=None, iterator_train__shuffle=True, verbose=0,
)  # fmt: skip
net.initialize()
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    net.partial_fit(x, y, epochs=1)
    epochs.append(time.perf_counter() - start)
say(epochs, float((net.predict(x_valid) == y_valid).mean()))
