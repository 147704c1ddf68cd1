"""What an optimizer needs before it can be stepped: its training mode, a closure, or backward() itself.

Where it needs a class of its own for that, the text that a reproduction prints is what makes the class.
A class whose step() stands in for that of the one examined says so: its hooks are not the other's.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import torch

from surefoot.check.protocol import Options
from surefoot.check.subject.load import Subject
from surefoot.errors import said

__all__ = ["hooked", "in_training", "tolerant", "without_closure"]

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
    stands_in = True

    def step(self, closure=None):
        return super().step(closure or (lambda: torch.zeros(())))
"""

# where step() raises after every update; its exception may be a class that only its module can name
TOLERANT = """
class {name}({name}):
    stands_in = True

    def step(self, closure=None):
        try:
            return super().step(closure) if closure else super().step()
        except Exception as error:  # raised after every update
            if type(error).__name__ != "{kind}":
                raise
"""
TOLERANT_MADE = """
made = {name}

def {name}(*args, **kwargs):
    opt = made(*args, **kwargs)

    class Tolerant(type(opt)):
        stands_in = True

        def step(self, closure=None):
            try:
                return super().step(closure) if closure else super().step()
            except Exception as error:  # raised after every update
                if type(error).__name__ != "{kind}":
                    raise

    opt.__class__ = Tolerant
    return opt
"""


def _derived(subject: Subject, template: str, **holes: str) -> Subject:
    """What a template makes of a subject: the program runs the text that a reproduction prints."""
    name = subject.signature.name if subject.signature.name.isidentifier() else "make"  # for a lambda
    text = template.format(name=name, **holes)
    names: dict[str, Any] = {name: subject.make, "torch": torch, "__name__": __name__}
    exec(text, names)
    imports = f"{subject.signature.imports}\n{text}"
    return Subject(names[name], dataclasses.replace(subject.signature, name=name, imports=imports))


def tolerant(subject: Subject, kind: str) -> Subject:
    """The same without an exception of this kind, which every step() raises after its update."""
    return _derived(subject, TOLERANT if isinstance(subject.make, type) else TOLERANT_MADE, kind=kind)


def in_training(subject: Subject) -> Subject:
    """Where an optimizer has a training mode, as its users must, switch it on."""
    trained = isinstance(subject.make, type) and callable(getattr(subject.make, "train", None))
    return _derived(subject, TRAINING) if trained else subject


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

    closed = _derived(subject, CLOSED)
    return dataclasses.replace(closed, signature=dataclasses.replace(closed.signature, needs_closure=False))


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
