"""JAX with optax on a GPU: an epoch is one jitted scan, in full float32 as torch's is.

    python gpu_jax.py BATCH

requires: jax[cuda13] optax
"""

import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from job import EPOCHS, HIDDEN, LR, MOMENTUM, say

jax.config.update("jax_default_matmul_precision", "highest")
batch = int(sys.argv[1])
with np.load(".gpu.npz") as file:
    x, y, x_valid, y_valid = (jnp.asarray(file[k]) for k in ("x", "y", "x_valid", "y_valid"))
optimizer = optax.sgd(LR, MOMENTUM)


def logits(p, x, keep=None):
    hidden = jax.nn.relu(x @ p["w1"] + p["b1"])
    if keep is not None:
        hidden = hidden * keep / 0.9
    return hidden @ p["w2"] + p["b2"]


def loss(p, x, y, keep):
    return optax.softmax_cross_entropy_with_integer_labels(logits(p, x, keep), y).mean()


def step(carry, rows):
    p, state, random = carry
    random, mine = jax.random.split(random)
    keep = jax.random.bernoulli(mine, 0.9, (len(rows[0]), HIDDEN))
    value, g = jax.value_and_grad(loss)(p, *rows, keep)
    change, state = optimizer.update(g, state)
    return (optax.apply_updates(p, change), state, random), value


@partial(jax.jit, donate_argnums=0)
def epoch(carry, x, y, order):
    """All rows: the full batches by one scan, then a last, shorter one."""
    x, y, full = x[order], y[order], len(x) // batch * batch
    xs, ys = x[:full].reshape(-1, batch, 784), y[:full].reshape(-1, batch)
    carry, values = jax.lax.scan(step, carry, (xs, ys))
    if full < len(x):
        carry, _ = step(carry, (x[full:], y[full:]))
    return carry, values


rng = np.random.default_rng(0)
p = {
    "w1": jnp.asarray(rng.uniform(-1, 1, (784, HIDDEN)) / 28, jnp.float32),
    "b1": jnp.zeros(HIDDEN),
    "w2": jnp.asarray(rng.uniform(-1, 1, (HIDDEN, 10)) / 16, jnp.float32),
    "b2": jnp.zeros(10),
}
carry, epochs = (p, optimizer.init(p), jax.random.key(0)), []
for _ in range(EPOCHS + 1):  # the first is warm-up
    start = time.perf_counter()
    carry, values = epoch(carry, x, y, jnp.asarray(rng.permutation(len(x))))
    values.block_until_ready()
    epochs.append(time.perf_counter() - start)
say(epochs, float((logits(carry[0], x_valid).argmax(1) == y_valid).mean()))
