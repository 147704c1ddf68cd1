"""JAX with optax: an epoch is one jitted scan.

requires: jax optax
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from job import BATCH, EPOCHS, HIDDEN, LR, MOMENTUM, load, say

x, y, x_valid, y_valid = load()
optimizer = optax.sgd(LR, MOMENTUM)


def logits(p, x, keep=None):
    hidden = jax.nn.relu(x @ p["w1"] + p["b1"])
    if keep is not None:
        hidden = hidden * keep / 0.9
    return hidden @ p["w2"] + p["b2"]


def loss(p, x, y, keep):
    return optax.softmax_cross_entropy_with_integer_labels(logits(p, x, keep), y).mean()


def step(carry, batch):
    p, state, random = carry
    random, mine = jax.random.split(random)
    keep = jax.random.bernoulli(mine, 0.9, (BATCH, HIDDEN))
    value, g = jax.value_and_grad(loss)(p, *batch, keep)
    change, state = optimizer.update(g, state)
    return (optax.apply_updates(p, change), state, random), value


@partial(jax.jit, donate_argnums=0)
def epoch(carry, x, y, order):
    xs, ys = x[order].reshape(-1, BATCH, 784), y[order].reshape(-1, BATCH)
    return jax.lax.scan(step, carry, (xs, ys))


rng = np.random.default_rng(0)
p = {
    "w1": jnp.asarray(rng.uniform(-1, 1, (784, HIDDEN)) / 28, jnp.float32),
    "b1": jnp.zeros(HIDDEN),
    "w2": jnp.asarray(rng.uniform(-1, 1, (HIDDEN, 10)) / 16, jnp.float32),
    "b2": jnp.zeros(10),
}
carry = (p, optimizer.init(p), jax.random.key(0))
x, y = jnp.asarray(x), jnp.asarray(y)
order = jnp.asarray(rng.permutation(len(x)))
compiled = epoch.lower(carry, x, y, order).compile()
epochs = []
for _ in range(EPOCHS):
    start = time.perf_counter()
    carry, values = compiled(carry, x, y, jnp.asarray(rng.permutation(len(x))))
    values.block_until_ready()
    epochs.append(time.perf_counter() - start)
say(epochs, float((logits(carry[0], x_valid).argmax(1) == y_valid).mean()))
