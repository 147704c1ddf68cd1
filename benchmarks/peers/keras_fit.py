"""Keras 3 on torch: compile and fit.

requires: torch keras
"""

import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
from job import BATCH, EPOCHS, HIDDEN, LR, MOMENTUM, load, say

keras.utils.set_random_seed(0)
x, y, x_valid, y_valid = load()
model = keras.Sequential(
    [
        keras.layers.Dense(HIDDEN, activation="relu"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.SGD(LR, momentum=MOMENTUM),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    epochs.append(time.perf_counter() - start)
say(epochs, float(model.evaluate(x_valid, y_valid, verbose=0)[1]))
