"""All clauses of the contract, in the order of examination."""

from __future__ import annotations

from surefoot.check.contract import (
    back,
    closures,
    construction,
    copies,
    distributed,
    gradients,
    joining,
    numerics,
    older,
    parameters,
    resume,
    small,
    sparse,
    tensors,
    tooling,
)
from surefoot.check.contract.clause import Probed

__all__ = ["CLAUSES"]

_MODULES = (
    *(construction, closures, gradients, parameters, resume, older),
    *(joining, back, tensors, sparse, numerics, small),
    *(tooling, distributed, copies),
)
CLAUSES = {c.id: c for module in _MODULES for c in vars(module).values() if isinstance(c, Probed)}
