"""The contract: what every optimizer must keep, whatever its rule; one small probe for each clause."""

from __future__ import annotations

# the order of these is the order of examination
from surefoot.check.contract import construction, closures, gradients, parameters, resume  # isort: skip
from surefoot.check.contract import joining, back, tensors, sparse, numerics, small  # isort: skip
from surefoot.check.contract import tooling, distributed, copies  # isort: skip
from surefoot.check.contract.clause import CLAUSES
from surefoot.check.contract.examine import examine

__all__ = [
    "CLAUSES",
    "back",
    "closures",
    "construction",
    "copies",
    "distributed",
    "examine",
    "gradients",
    "joining",
    "numerics",
    "parameters",
    "resume",
    "small",
    "sparse",
    "tensors",
    "tooling",
]
