"""The clause on the process: an optimizer's module leaves torch and surefoot as they are."""

from __future__ import annotations

from collections.abc import Collection

from surefoot.check.protocol import DEFAULT_DTYPE, Patient
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED, Clause, Verdict

__all__ = ["UNTOUCHED", "untouched"]

UNTOUCHED = Clause(
    "torch-untouched",
    "process",
    "leaves torch and surefoot unchanged",
    why="A module that replaces torch's functions changes every program that imports it.",
    mend="Do not replace torch's functions; give yours a different name.",
    quick=True,
)
WHY_DTYPE = (
    "A module that calls torch.set_default_dtype changes the dtype of every tensor and layer created after "
    "importing it."
)
MEND_DTYPE = "Do not change the default dtype; pass a dtype instead: torch.zeros(3, dtype=torch.float64)."
# a replaced function, shown: by importing, or by a step
REPLACED = """import torch
{import_it}before = {place}
{imports}

w = torch.ones(2, requires_grad=True)
optimizer = {name}([w]{given})
w.sum().backward()
optimizer.step()
optimizer.zero_grad()
assert {place} is before
"""


def untouched(patient: Patient, patched: Collection[str] | None) -> Verdict:
    """Judge what the optimizer's module did to torch and surefoot.

    Args:
        patient: the optimizer.
        patched: the names that are no longer what they were; None if nobody could look from outside.
    """
    if patched is None:
        return UNTOUCHED.verdict(
            NOT_APPLICABLE, note="can only be seen when the optimizer runs in the sandbox"
        )
    if not patched:
        return UNTOUCHED.verdict(PASSED)
    names = sorted(set(patched) - {DEFAULT_DTYPE}, key=lambda name: (not name.startswith("torch."), name))
    name, signature = names[0] if names else DEFAULT_DTYPE, patient.signature
    says = [f"it replaces {', '.join(names[:5])}"] * bool(names)
    says += ["it changes the default dtype"] * (DEFAULT_DTYPE in patched)
    module = "torch" if name.startswith("torch.") else name.rpartition(".")[0]
    given = "".join(f", {k}={v!r}" for k, v in signature.call(patient.given).items())
    return UNTOUCHED.verdict(
        FAILED,
        note=" and ".join(says),
        expected=f"{name} as torch has it" if names else "the default dtype that torch has",
        got=f"another {name}" if names else "another default dtype",
        repro=REPLACED.format(
            import_it="" if module == "torch" else f"import {module}\n",
            place=name,
            imports=signature.imports,
            name=signature.name,
            given=given,
        ),
        why="" if names else WHY_DTYPE,
        mend="" if names else MEND_DTYPE,
    )
