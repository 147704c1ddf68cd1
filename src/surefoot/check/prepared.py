"""What an optimizer needs before it can be stepped: its training mode, a closure, or backward() itself."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import torch

from surefoot.check.load import Subject
from surefoot.check.protocol import Options
from surefoot.errors import said

__all__ = ["hooked", "in_training", "without_closure"]

NOT_CALLABLE = "'NoneType' object is not callable"
# a schedule-free optimizer steps in training mode alone
TRAINING = """
class {name}({name}):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.train()
"""

# where step() calls its closure once, whether there is one or not
CLOSED = """
class {name}({name}):
    def step(self, closure=None):
        return super().step(closure or (lambda: torch.zeros(())))
"""


def in_training(subject: Subject) -> Subject:
    """Where an optimizer has a training mode, as its users must, switch it on."""
    made, name = subject.make, subject.signature.name
    if not isinstance(made, type) or not callable(getattr(made, "train", None)):
        return subject

    def initialize(opt: Any, *args: Any, **kwargs: Any) -> None:
        made.__init__(opt, *args, **kwargs)  # type: ignore[misc]
        opt.train()

    imports = f"{subject.signature.imports}\n{TRAINING.format(name=name)}"
    signature = dataclasses.replace(subject.signature, imports=imports)
    return dataclasses.replace(
        subject, make=type(name, (made,), {"__init__": initialize}), signature=signature
    )


def hooked(subject: Subject, given: Options) -> Subject:
    """Note of an optimizer that it steps in hooks of its parameters, or takes their gradients there."""
    made = subject.make
    if isinstance(made, type):  # torch hooks the step of a class that something is made of
        made = type(subject.signature.name, (made,), {})
    taken = False
    for shape in ((2,), (2, 2)):  # some take matrices alone
        p = torch.nn.Parameter(torch.ones(shape))
        try:
            opt = made([p], **subject.signature.call(given))
            before = p.detach().clone()
            (3 * p).sum().backward()  # type: ignore[no-untyped-call]
        except Exception:  # that is told elsewhere
            continue
        taken = p.grad is None or not torch.equal(p, before)
        del opt  # hooks may hold it weakly
        break
    return dataclasses.replace(subject, signature=dataclasses.replace(subject.signature, in_backward=taken))


def without_closure(subject: Subject, given: Options) -> Subject:
    """Where step() wants a closure and calls it once, as to get the loss, let it do without.

    The same where its signature says that it does without, and then it calls the closure that is not there,
    or says that it must have one.
    """
    made, name, signature = subject.make, subject.signature.name, subject.signature
    if not isinstance(made, type):
        return subject
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    calls = []

    def closure() -> torch.Tensor:
        calls.append(p)
        p.grad = torch.ones(2)
        return torch.zeros(())

    def optimizer() -> Any:
        # not of the class itself: torch hooks the step of a class that something is made of
        return type(name, (made,), {})([p], **signature.call(given))

    if not signature.needs_closure:
        asks, never = _insists(made.step), _never_looks(made.step)  # type: ignore[attr-defined]
        said = _said_without(optimizer) if asks or never else ""
        asks, never = asks and "closure" in said, never and NOT_CALLABLE in said
        if not asks and not never:
            return subject
        signature = dataclasses.replace(signature, needs_closure=True, calls_none=never)
        subject = dataclasses.replace(subject, signature=signature)
        if asks:  # what a step does with one that it insists on is not known
            return subject
    try:
        opt = optimizer()
        for _ in range(2):
            opt.step(closure)
    except Exception:  # it will be told, or nothing can be driven
        return subject
    if len(calls) != 2:
        return subject

    def step(opt: Any, closure: Any = None) -> Any:
        return made.step(opt, closure or (lambda: torch.zeros(())))  # type: ignore[attr-defined]

    imports = f"{signature.imports}\n{CLOSED.format(name=name)}"
    signature = dataclasses.replace(signature, imports=imports, needs_closure=False)
    return dataclasses.replace(subject, make=type(name, (made,), {"step": step}), signature=signature)


def _tree(step: Callable[..., Any]) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(step))))
    except (OSError, TypeError, SyntaxError):
        return ast.Module([], [])


def _insists(step: Callable[..., Any]) -> bool:
    """Whether the code of step() raises something that speaks of its closure."""
    raised = (n for n in ast.walk(_tree(step)) if isinstance(n, (ast.Raise, ast.Assert)))
    words = (n.value for r in raised for n in ast.walk(r) if isinstance(n, ast.Constant))
    return any("closure" in word for word in words if isinstance(word, str))


def _never_looks(step: Callable[..., Any]) -> bool:
    """Whether the code of step() calls its closure, and has no condition about it."""
    tree = _tree(step)

    def of_it(node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id == "closure" for n in ast.walk(node))

    nodes = list(ast.walk(tree))
    called = any(isinstance(n, ast.Call) and of_it(n.func) for n in nodes)
    asked = [n.test for n in nodes if isinstance(n, (ast.If, ast.IfExp, ast.While))]
    return called and not any(map(of_it, [*asked, *(n for n in nodes if isinstance(n, ast.BoolOp))]))


def _said_without(make: Callable[[], Any]) -> str:
    """What a step without a closure says, if it raises."""
    try:
        opt = make()
    except Exception:  # that is told elsewhere
        return ""
    try:
        opt.step()
    except Exception as error:
        return said(error)
    return ""
