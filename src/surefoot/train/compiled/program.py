"""K training steps as one graph: forward, loss, backward and update, with every tensor an input.

Parameters, the model's buffers and the momentum buffers are inputs that the program overwrites at its end. lr
and momentum are inputs of each step, so a schedule needs no second program. Random numbers are inputs too,
drawn outside in the order in which eager steps draw them, so dropout keeps its numbers.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from surefoot.errors import first_line
from surefoot.optim.functional import sgd
from surefoot.train import imports
from surefoot.train.compiled.fingerprint import Untold
from surefoot.train.compiled.noise import BITS, DRAWN_BY, Noise, by_bits, threshold
from surefoot.train.compiled.turned import turn
from surefoot.train.objective.losses import measured, summed, weigher
from surefoot.train.randomness import same, states, unmoved
from surefoot.train.steps.engine import Job, parts, weighted
from surefoot.train.steps.sharable import expected

__all__ = ["Program", "Untraceable", "trace"]


class Untraceable(Untold):
    """A step that cannot become one program; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Program:
    """K steps as a graph.

    Args:
        graph: the steps.
        inputs: what it was traced with, without the noise.
        momenta: the names of the parameters whose momentum buffers are inputs, in their order.
        noise: its last inputs, in the order of drawing.
    """

    graph: GraphModule
    inputs: list[Tensor]
    momenta: tuple[str, ...]
    noise: tuple[Noise, ...]


def trace(job: Job, x: Tensor, y: Tensor) -> Program:
    """Trace K training steps on the batches `x`, `y`.

    Args:
        job: of a model in training mode and an SGD over its parameters.
        x: inputs, K × batch × …
        y: targets, K × batch × …

    Returns:
        The program. Inputs: all parameters, the model's buffers, a momentum buffer for each parameter trained
        with momentum, x, y, the hyperparameters (float64, K × groups × 2: lr, momentum), then the noise.
        Output: the K losses.

    Raises:
        Untraceable: the model's Python reads values of tensors, or it draws random numbers in a way that
            DRAWN_BY does not name.
    """
    imports.whole()  # make_fx and export ask for shapes
    model, loss, optimizer = job.model, job.loss, job.optimizer
    params, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    index = {p: i for i, p in enumerate(params.values())}
    used = _used(model, loss, x[0], y[0])
    updates = [
        (index[p], g, group)
        for g, group in enumerate(optimizer.param_groups)
        for p in group["params"]
        if p in used
    ]
    with_momentum = [i for i, _, group in updates if group["momentum"] != 0]
    weigh, by_sums = weigher(loss), summed(loss)
    n_params, n_model = len(params), len(params) + len(buffers)
    n_state = n_model + len(with_momentum)

    def steps(*inputs: Tensor) -> Tensor:
        w, moving = list(inputs[:n_params]), [b.clone() for b in inputs[n_params:n_model]]
        momenta: dict[int, Tensor | None] = dict(zip(with_momentum, inputs[n_model:n_state], strict=True))
        xs, ys, hyper = inputs[n_state:]
        losses = []
        for k in range(len(x)):
            leaves = [p.detach() for p in w]
            grad_of = [leaves[i].requires_grad_() for i, _, _ in updates]
            state = dict(zip([*params, *buffers], [*leaves, *moving], strict=True))
            taken = []
            of_part = loss if by_sums is None or job.accumulate == 1 or measured(y) else by_sums
            for xp, yp, share in parts(xs[k], ys[k], job.accumulate, weigh, sums=of_part is by_sums):
                value = of_part(torch.func.functional_call(model, state, (xp,)), yp)
                if job.accumulate > 1:
                    value = weighted(value, share)
                taken.append((value.detach(), *torch.autograd.grad(value, grad_of)))
            value, *grads = (functools.reduce(operator.add, column) for column in zip(*taken, strict=True))
            with torch.no_grad():
                if job.clip is not None:
                    grads = clipped(grads, job.clip)
                for (i, g, group), grad in zip(updates, grads, strict=True):
                    lr, momentum = hyper[k, g, 0], hyper[k, g, 1]
                    w[i], momenta[i] = sgd(w[i], grad, momenta.get(i), lr, momentum, group)
            losses.append(value)
        ends = [*w, *moving, *(momenta[i] for i in with_momentum)]
        for place, end in zip(inputs, ends, strict=False):
            assert end is not None  # momentum never drops a buffer
            place.copy_(end)
        return torch.stack(losses)

    like = [t.detach().clone() for t in [*params.values(), *buffers.values()]]
    hyper = torch.zeros(len(x), len(optimizer.param_groups), 2, dtype=torch.float64)
    inputs = [*like, *(torch.zeros_like(like[i]) for i in with_momentum), x, y, hyper]
    with unmoved():
        before = states()
        try:
            graph = make_fx(steps)(*inputs)
        except Exception as error:  # whatever a user's model raises when its values are unknown
            raise Untraceable(f"its step could not be traced ({first_line(error)})") from error
        # what is drawn from torch is an input of the program
        if not same(before, states() | {"torch": before["torch"]}):
            raise Untraceable("its model draws numbers from random or numpy, which a program would repeat")
    turn(graph, expected(job, len(x[0])))
    names = list(params)
    return Program(graph, inputs, tuple(names[i] for i in with_momentum), lift_noise(graph))


def _used(model: nn.Module, loss: Callable[[Any, Tensor], Tensor], x: Tensor, y: Tensor) -> set[Tensor]:
    """The parameters that a step gives a gradient; found out on a copy of the model."""
    copied = copy.deepcopy(model)
    with unmoved(), torch.enable_grad():
        loss(copied(x), y).backward()  # type: ignore[no-untyped-call]
    pairs = zip(model.parameters(), copied.parameters(), strict=True)
    return {p for p, twin in pairs if twin.grad is not None}


def clipped(grads: Sequence[Tensor], clip: float) -> list[Tensor]:
    """The gradients, scaled down together to norm `clip` where theirs is larger: as clip_grad_norm_ does."""
    norms = torch.stack([g.norm() for g in grads])
    scale = (clip / (norms.norm() + 1e-6)).clamp(max=1.0)
    return [g * scale for g in grads]


def lift_noise(graph: GraphModule) -> tuple[Noise, ...]:
    """Turn each random operation of the graph into an input at its end; returns what these are to be."""
    nodes = graph.graph
    last = [n for n in nodes.nodes if n.op == "placeholder"][-1]
    noise: list[Noise] = []
    for node in list(nodes.nodes):
        target = node.target
        if (
            not isinstance(target, torch._ops.OpOverload)
            or torch.Tag.nondeterministic_seeded not in target.tags
        ):
            continue
        if str(target) not in DRAWN_BY:
            raise Untraceable(
                f"it draws random numbers with {target}, which cannot be drawn outside the program"
            )
        value = node.meta["val"]
        args = tuple(float(a) for a in node.args[1:] if isinstance(a, (int, float)))
        bits = DRAWN_BY[str(target)] == "bernoulli_" and by_bits()
        dtype = str(value.dtype).removeprefix("torch.")
        noise.append(Noise(str(target), tuple(value.shape), dtype, args, bits))
        with nodes.inserting_after(last):
            drawn = last = nodes.placeholder(f"noise_{len(noise)}")
        if bits:
            aten = torch.ops.aten
            p, *_ = (*args, 0.5)  # a graph leaves out what is the default
            with nodes.inserting_before(node):
                low = nodes.call_function(aten.bitwise_and.Scalar, (last, BITS))
                ones = nodes.call_function(aten.lt.Scalar, (low, threshold(p)))
                drawn = nodes.call_function(aten._to_copy.default, (ones,), {"dtype": value.dtype})
        node.replace_all_uses_with(drawn)
        nodes.erase_node(node)
    nodes.eliminate_dead_code()
    nodes.set_codegen(torch.fx.graph.CodeGen())
    graph.recompile()
    return tuple(noise)
