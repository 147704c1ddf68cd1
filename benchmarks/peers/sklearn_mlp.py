"""scikit-learn's MLPClassifier, an epoch at a time.

requires: scikit-learn
"""

import time

from job import BATCH, EPOCHS, HIDDEN, LR, MOMENTUM, load, say
from sklearn.neural_network import MLPClassifier

x, y, x_valid, y_valid = load()
model = MLPClassifier(
    (HIDDEN,), solver="sgd", learning_rate_init=LR, momentum=MOMENTUM, nesterovs_momentum=False,
    batch_size=BATCH, alpha=0, random_state=0,
)  # fmt: skip
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    model.partial_fit(x, y, classes=range(10))
    epochs.append(time.perf_counter() - start)
say(epochs, float(model.score(x_valid, y_valid)))
