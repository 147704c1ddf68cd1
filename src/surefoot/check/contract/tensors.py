"""Clauses on what parameters may look like: shapes, layouts, dtypes, complex numbers."""

from __future__ import annotations

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import gradient, lacks, run, state, weight


@clause(
    "tensors",
    "accepts parameters of every shape",
    why="Scales are 0-dimensional, kernels 4-dimensional; an empty parameter must not stop the others.",
    mend="Use elementwise operations that broadcast; skip a parameter only if p.grad is None.",
    cases=[{"shape": s} for s in ((), (0,), (1,), (5,), (2, 3), (2, 1, 2, 2))],
    needs=["visible", "any shape"],
)
def shapes(make: Make, shape: tuple[int, ...]) -> Claims:
    w, other, alone = weight(*shape), weight(2, 2), weight(2, 2)
    before = w.tolist()
    run(make([w, other]), [w, other], range(9))  # an odd number: two steps by sign may end where they began
    run(make([alone]), [alone], range(9))
    return [
        (f"the shape of a parameter of shape {shape}, after 9 steps", list(shape), list(w.shape)),
        (f"a parameter of shape {shape} moves", w.numel() > 0, w.tolist() != before),
        (f"a parameter of shape {shape} stays finite", True, bool(w.isfinite().all())),
        (f"another parameter moves beside one of shape {shape}", True, bool(other.ne(weight(2, 2)).any())),
    ]


@clause(
    "tensors",
    "a large tensor is stepped like its parts",
    why="Some optimizers take a different code path from a few thousand elements on, such as 8-bit state: "
    "small tensors never show its faults.",
    mend="Compare the code path for large tensors with the one for small ones: same formula, every option.",
    over="rich",
    needs=["visible", "any shape", "repeatable", "elementwise"],
)
def large(make: Make) -> Claims:
    w, part = weight(70_000), weight(35)  # 35 numbers again and again, as are the gradients
    for p in (w, part):
        opt = make([p])
        for t in range(5):
            p.grad = gradient(p, t) / 3  # short fractions would fit in a state of 16 bits
            opt.step()
    rows = w.detach().view(-1, 35)
    worst = rows[(rows - part.detach()).abs().amax(1).argmax()]
    off = float((worst - part).abs().max() / (part - weight(35)).abs().max())
    if 1e-5 < off < 0.05 and _rounded(make):
        return {"differs": "tensors of 70,000 elements are rounded differently, as by low-bit state"}
    return [
        (
            "35 of 70,000 elements after 5 steps, against the same elements stepped alone",
            part.tolist(),
            worst.tolist(),
            1e-5,
        )
    ]


def _rounded(make: Make) -> bool:
    """Whether what a large tensor is off by is chance, and no factor: that hardly changes with gradients."""
    offs = []
    for change in (0.0, 0.03):  # not one for all: a state that is scaled by its maximum keeps its error
        ends = []
        for p in (weight(70_000), weight(35)):
            opt = make([p])
            for t in range(5):
                p.grad = gradient(p, t) / 3 * (1 + change * (torch.arange(p.numel()) % 35 % 4 - 1.5))
                opt.step()
            ends.append(p.detach())
        offs.append(ends[0].view(-1, 35)[0] - ends[1])
    return bool((offs[1] - offs[0]).abs().max() > offs[0].abs().max() / 3)


@clause(
    "tensors",
    "memory layout does not matter",
    why="Channels-last models, transposed weights and expanded gradients hold the same numbers, stored "
    "differently.",
    mend="Use tensor operations, which work by index; view(-1) and data_ptr arithmetic work by memory order.",
    over="rich",
    cases=[
        {"layout": "a transposed parameter"},
        {"layout": "a transposed gradient"},
        {"layout": "an expanded gradient"},
    ],
    needs=["repeatable"],
)
def layouts(make: Make, layout: str) -> Claims:
    usual = weight(3, 2)
    w = usual.detach().t().contiguous().t() if layout == "a transposed parameter" else usual.detach().clone()
    w.requires_grad_()
    a, b = make([usual]), make([w])
    for t in range(3):
        g = gradient(usual, t)[:1].expand(3, 2) if layout == "an expanded gradient" else gradient(usual, t)
        usual.grad = g.contiguous().clone()
        w.grad = g.t().contiguous().t() if layout == "a transposed gradient" else g
        a.step()
        b.step()
    return [(f"{layout}: w after 3 steps, against the contiguous one", usual.tolist(), w.tolist(), 1e-3)]


@clause(
    "tensors",
    "works in every floating dtype",
    why="Models train in bfloat16 and float16, and are tested in float64.",
    mend="Create buffers with zeros_like(p); do not hard-code a dtype in the arithmetic.",
    mends={
        "p.grad": "Do not change p.grad: .double() and .to(dtype) return p.grad itself if it has that "
        "dtype, so work out of place.",
    },
    over="singles",
    cases=[{"dtype": d} for d in ("float64", "float16", "bfloat16")],
    needs=["repeatable"],
)
def every_dtype(make: Make, dtype: str) -> Claims:
    w, single = weight(6, 6, dtype=getattr(torch, dtype)), weight(6, 6)
    for p in (w, single):
        p.detach().add_(0.0625)  # or a decay of 0.1 would cancel a gradient, and leave rounding alone
    run(make([w]), [w], range(2))
    run(make([single]), [single], range(2))
    near = 0.01 if dtype == "float64" else 0.1
    left = gradient(w, 1).tolist()
    kept = None if w.grad is None else w.grad.tolist()
    if single.grad is None or not single.grad.equal(gradient(single, 1)):
        kept = left  # what becomes of it in float32, too, grad-kept tells
    return [
        ("the parameter's dtype after 2 steps", dtype, str(w.dtype).removeprefix("torch.")),
        (f"the parameter, in {dtype} against float32", single.tolist(), w.tolist(), near),
        (f"p.grad after 2 steps, in {dtype}", left, kept),
    ]


@clause(
    "tensors",
    "keeps the same state in every floating dtype",
    why="In bfloat16, .bfloat16() returns the same tensor; an in-place operation then overwrites the state.",
    mend="Clone the result of .to(...) on a state tensor before changing it in place.",
    mends={
        "the count": "Keep the count as a number, or as torch.tensor(0.0) in float32: in bfloat16 it stops "
        "at 256.",
    },
    over="singles",
    cases=[{"dtype": d} for d in ("float64", "float16", "bfloat16")],
    needs=["repeatable"],
)
def dtype_state(make: Make, dtype: str) -> Claims:
    w, single = weight(6, 6, dtype=getattr(torch, dtype)), weight(6, 6)
    opt, other = make([w]), make([single])
    if why := lacks(opt, "state"):
        return why
    for o, p in ((opt, w), (other, single)):
        p.grad = gradient(p, 0) + torch.eye(6, dtype=p.dtype)  # of full rank, for roots of its products
        o.step()
    exact, rough = state(other, single), state(opt, w)
    exact = {k: v for k, v in exact.items() if v is not None}  # what only low precision needs may be added
    rough = {k: v for k, v in rough.items() if k in exact}
    narrow = [k for k, v in opt.state.get(w, {}).items() if torch.is_tensor(v) and v.dtype == torch.bfloat16]
    counts = [k for k in narrow if rough.get(k) in (1.0, [1.0])]
    if counts:  # bfloat16 does not count beyond 256
        run(opt, [w], range(1, 300))
        run(other, [single], range(1, 300))
    counts = [k for k in counts if state(other, single)[k] in (300.0, [300.0])]
    return [
        (f"the state after 1 step, in {dtype} against float32", exact, rough, 0.1),
        (
            f"the count after 300 steps, in {dtype} against float32",
            {k: state(other, single)[k] for k in counts},
            {k: state(opt, w)[k] for k in counts},
        ),
    ]


@clause(
    "tensors",
    "a complex parameter is stepped as its real and imaginary parts",
    why="A real loss has a gradient for each part; squaring, taking the sign of, or casting the complex "
    "number does not treat the parts separately.",
    mend="In step(), use torch.view_as_real(p) and torch.view_as_real(p.grad); or reject complex parameters.",
    over="singles",
    refusal="complex",
    needs=["repeatable"],
)
def complex_parts(make: Make) -> Claims:
    start = weight(3, 2).detach()
    w = torch.view_as_complex(start.clone()).reshape(3, 1).requires_grad_()
    parts = [start[:, k : k + 1].clone().requires_grad_() for k in (0, 1)]
    whole = start.clone().requires_grad_()
    a, b, c = make(parts), make([w]), make([whole])
    for t in range(3):
        g = gradient(start, t)
        parts[0].grad, parts[1].grad = g[:, :1].clone(), g[:, 1:].clone()
        whole.grad = g.clone()
        w.grad = torch.view_as_complex(g).reshape(3, 1)
        a.step()
        b.step()
        c.step()
    if _by_direction(make):
        return {"differs": "it uses a complex gradient's direction, torch.sgn, not the signs of its parts"}
    if _by_size(make):
        return {"differs": "it uses a complex gradient's size, |g|, as in optax, not each part separately"}
    came = torch.view_as_real(w.detach()).reshape(3, 2)
    # a mean over rows is none over parts, and a norm of the tensor is one of all parts: either is right
    right = min([torch.cat(parts, 1), whole.detach()], key=lambda x: float((x - came).abs().max()))
    return [("real and imaginary parts after 3 steps", right.tolist(), came.tolist(), 1e-6)]


def _by_direction(make: Make) -> bool:
    """Whether a first step from 0 is along the gradient, and each of one length for all elements."""
    w = torch.zeros(3, 1, dtype=torch.complex64).requires_grad_()
    w.grad = g = torch.tensor([[1 + 2j], [-1 + 0.5j], [0.5 - 1j]])
    opt = make([w])
    opt.step()
    first = w.detach().clone()
    w.grad = g * torch.tensor([[1.0], [2.0], [4.0]])  # a mean of squares would now show
    opt.step()
    lengths = [first.abs(), (w.detach() - first).abs()]
    alike = all(length.min() > 0 and length.max() / length.min() < 1.001 for length in lengths)
    return alike and bool(((first / g).imag.abs() < 1e-6).all())


def _by_size(make: Make) -> bool:
    """Whether gradients turned by an angle turn the moves, and doubled ones do not double them.

    What doubles them is linear, and should do to a complex number what it does to its parts.
    """

    def moved(factor: complex) -> torch.Tensor:
        w = torch.zeros(3, 1, dtype=torch.complex64).requires_grad_()
        opt = make([w])
        for t in range(3):
            w.grad = torch.view_as_complex(gradient(weight(3, 2), t)).reshape(3, 1) * factor
            opt.step()
        return w.detach()

    def apart(a: torch.Tensor, b: torch.Tensor) -> bool:
        return bool(((a - b).abs() > 1e-5).any())

    angle = 0.6 + 0.8j
    turned, parts = apart(moved(angle), moved(1) * angle), weight(3, 2).detach().zero_().requires_grad_()
    opt = make([parts])
    for t in range(3):
        parts.grad = gradient(parts, t)
        opt.step()
    by_parts = not apart(torch.view_as_real(moved(1)).reshape(3, 2), parts.detach())
    return not turned and not by_parts and apart(moved(2), 2 * moved(1))
