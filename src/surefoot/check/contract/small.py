"""The clause on steps that are smaller than what a parameter of 16 bits can hold."""

from __future__ import annotations

import torch
from torch import Tensor

from surefoot.check.contract.clause import Claims, Make, clause


@clause(
    "numerics",
    "a step too small for bfloat16 is rounded, not truncated",
    why="Truncation always rounds towards 0: weights shrink, whatever the gradients are.",
    mend="Let torch round, with p.add_(...) or p.copy_(w32); stochastic rounding must add random bits "
    "before it truncates.",
    needs=["repeatable", "an lr"],
    refuses=("Exception",),  # whether it steps in bfloat16, every-dtype tells
)
def small_steps(make: Make) -> Claims:
    signs = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).repeat(8, 8)

    def moves(dtype: torch.dtype) -> Tensor:
        w = signs.to(dtype, copy=True).requires_grad_()
        opt = make([w])
        opt.param_groups[0]["lr"] = 2**-13
        w.grad = signs.flip(0).to(dtype)
        opt.step()
        return (w.detach() - signs).abs()

    exact, rough = moves(torch.float32), moves(torch.bfloat16)
    if not 0 < exact.max() < 2**-10:  # beside 1, bfloat16 has steps of 2**-8 and 2**-7
        return "its first step is zero or large"
    if not rough.max() <= 2**-6:  # NaN is none, either
        return "its first step in bfloat16 differs"
    often = max(float(rough[i::2, j::2].ne(0).float().mean()) for i in range(2) for j in range(2))
    return [("steps too small for bfloat16 leave most of 64 elements near 1 unchanged", True, often <= 0.5)]
