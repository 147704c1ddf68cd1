"""A Script written out as a few lines of plain torch, to paste and run."""

from __future__ import annotations

import dataclasses
import itertools
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.trace.compare import Mismatch
from surefoot.trace.events import Event, Group, Move, Option, Set, Step, runs
from surefoot.trace.keys import Key, held
from surefoot.trace.script import Script
from surefoot.trace.values import Value, constant, exact_binary, shape

__all__ = ["to_torch_code"]

_OWN = {"torch", "optimizer", "saved", "got", "dict", "abs", "range", "float", "_"}


def to_torch_code(
    script: Script,
    optimizer: str = "torch.optim.SGD",
    *,
    imports: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    mismatch: Mismatch | None = None,
    keys: Mapping[str, Key] = {},
) -> str:
    """Write a script as torch code, without surefoot.

    Args:
        script: what is to happen; without a function to differentiate.
        optimizer: the expression that is called to make the optimizer.
        imports: further lines for the top, e.g. "from homework import SGD".
        extra: constructor options that the script does not have, e.g. {"foreach": True}.
        dtype: of the parameters that the script gives none.
        mismatch: ends the code with an assert on this number, which holds for a right optimizer.
        keys: the constructor's option → the key under which groups hold it, where that is another; or its
            key, its place in the tuple there, and what that is by default.

    Returns:
        The lines, as one string. Parameters whose names are none in Python, or are taken, get such as are:
        `layer.weight` is layer_weight.

    Raises:
        InputError: the script has a function to differentiate.

    Example:
        >>> script = Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 2}], lr=[0.5, 0.25], momentum=0.5)
        >>> print(to_torch_code(script))
        import torch
        <BLANKLINE>
        w = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.5, momentum=0.5)
        <BLANKLINE>
        # step 1
        w.grad = torch.tensor(1.0, dtype=torch.float64)
        optimizer.step()
        <BLANKLINE>
        # step 2
        optimizer.param_groups[0]["lr"] = 0.25
        w.grad = torch.tensor(2.0, dtype=torch.float64)
        optimizer.step()
    """
    if script.function is not None:
        raise InputError(
            "A script that differentiates a function cannot be written as code; give it gradients instead."
        )
    brought = re.findall(r"(?:import|as) (\w+)|^(\w+) =", "\n".join(imports), re.MULTILINE)
    taken = {*itertools.chain(*brought), optimizer.partition(".")[0], *_OWN}
    names = _identifiers(script.names, taken)
    script = _renamed(script, names)
    if mismatch is not None:
        mismatch = dataclasses.replace(mismatch, name=names[mismatch.name])
    return "\n".join(_Writer(script, optimizer, dict(extra or {}), dtype, keys).lines(imports, mismatch))


def _identifiers(names: Sequence[str], taken: set[str]) -> dict[str, str]:
    """What each parameter is called in code: `layer.weight` is layer_weight, `lambda` lambda_."""
    found: dict[str, str] = {}
    for name in names:
        called = re.sub(r"\W", "_", name)
        called = called if called[:1].isidentifier() else f"_{called}"
        while keyword.iskeyword(called) or called in taken or called in found.values():
            called += "_"
        found[name] = called
    return found


def _renamed(script: Script, names: Mapping[str, str]) -> Script:
    """The script with its parameters called by other names."""
    if all(name == called for name, called in names.items()):
        return script

    def event(e: Event) -> Event:
        return dataclasses.replace(e, name=names[e.name]) if isinstance(e, Move) else e

    return dataclasses.replace(
        script,
        start={names[n]: v for n, v in script.start.items()},
        groups=tuple(dataclasses.replace(g, names=tuple(names[n] for n in g.names)) for g in script.groups),
        steps=tuple(
            Step(s.gradients and {names[n]: v for n, v in s.gradients.items()}, tuple(map(event, s.events)))
            for s in script.steps
        ),
        dtypes={names[n]: d for n, d in script.dtypes.items()},
    )


class _Writer:
    """The code being written: which names, which optimizer, which dtypes."""

    def __init__(
        self, script: Script, optimizer: str, extra: dict[str, Any], dtype: str, keys: Mapping[str, Key]
    ) -> None:
        self.script, self.optimizer, self.extra, self.keys = script, optimizer, extra, keys
        self.dtypes = {n: script.dtypes.get(n, dtype) for n in script.names}
        self.groups = list(script.groups)  # with their options as they are by now
        self.live: list[int] = []  # those that the optimizer has, in its order

    def lines(self, imports: Sequence[str], mismatch: Mismatch | None) -> list[str]:
        lines = ["import torch", *imports, ""]
        for name, value in self.script.start.items():
            lines.append(f"{name} = {self.tensor(name, value, ', requires_grad=True')}")
        self.live = self.script.joining(1)
        lines.append(f"optimizer = {self.construct()}")
        steps = self.script.steps[: mismatch.step] if mismatch else self.script.steps
        for first, last, step in runs([self.step(t, step) for t, step in enumerate(steps, 1)]):
            if first == last:
                lines += ["", f"# step {first}", *step]
            else:
                loop = f"for _ in range({last - first + 1}):  # steps {first} to {last}"
                lines += ["", loop, *(f"    {line}" for line in step)]
        return [*lines, *self.finding(mismatch)] if mismatch else lines

    def construct(self) -> str:
        groups = [self.groups[i] for i in self.live]
        options = _keywords({**(groups[0].options if groups else {}), **self.extra})
        if len(groups) == 1:
            parameters = f"[{', '.join(groups[0].names)}]"
        else:
            parameters = "[" + ", ".join(self.group(g) for g in groups) + "]"
        return f"{self.optimizer}({parameters}{options})"

    def step(self, t: int, step: Step) -> list[str]:
        lines = []
        for index in self.script.joining(t) if t > 1 else []:
            lines.append(f"optimizer.add_param_group({self.group(self.groups[index])})")
            self.live.append(index)
        for event in step.events:
            lines += self.event(event)
        gradients = step.given
        for name in self.script.names:
            if name not in gradients:
                lines.append(f"{name}.grad = None")
            elif self.script.reuse_gradients and any(name in s.given for s in self.earlier(t)):
                lines.append(f"{name}.grad.copy_({self.tensor(name, gradients[name])})")
            else:
                lines.append(f"{name}.grad = {self.tensor(name, gradients[name])}")
        lines.append("optimizer.step()")
        if self.script.reuse_gradients:
            lines += [f"{name}.grad.fill_(77)  # the tensor is reused" for name in gradients]
        return lines

    def earlier(self, t: int) -> Sequence[Step]:
        """The step before, whose gradient tensor is still there."""
        return self.script.steps[t - 2 : t - 1] if t > 1 else ()

    def event(self, event: Event) -> list[str]:
        if isinstance(event, Set):
            meant = event.meant(len(self.groups))
            for i in meant:
                g = self.groups[i]
                self.groups[i] = dataclasses.replace(g, options={**g.options, event.option: event.value})
            [key] = held({event.option: event.value}, self.keys)
            now = {i: held(self.groups[i].options, self.keys)[key] for i in self.live if i in meant}
            return [
                f'optimizer.param_groups[{self.live.index(i)}]["{key}"] = {_option(value)}'
                for i, value in now.items()
            ]
        if isinstance(event, Move):
            move = f"{event.name}.copy_({self.tensor(event.name, event.value)})"
            return ["with torch.no_grad():", f"    {move}"]
        return [
            "saved = optimizer.state_dict()",
            f"optimizer = {self.construct()}",
            "optimizer.load_state_dict(saved)",
        ]

    def finding(self, mismatch: Mismatch) -> list[str]:
        index = f"[{', '.join(map(str, mismatch.index))}]" if mismatch.index else ""
        got = f"{mismatch.name}{index}.item()"
        if mismatch.slot != "w":
            slot = f'optimizer.state[{mismatch.name}]["{mismatch.slot}"]'
            got = f"{slot}{index}.item()" if index else f"float({slot})"  # which may be no tensor
        expected = _number(mismatch.expected)
        if expected == _number(math.nan):
            test = "got != got"
        elif mismatch.allowed and math.isfinite(mismatch.allowed) and "float" not in expected:
            test = f"abs(got - {expected}) <= {mismatch.allowed:.1e}"
        else:
            test = f"got == {expected}"
        return [
            "",
            f"got = {got}",
            f'assert {test}, f"should be {expected}, but is {{got}}"',
        ]

    def group(self, group: Group) -> str:
        return f"dict(params=[{', '.join(group.names)}]{_keywords(held(group.options, self.keys))})"

    def tensor(self, name: str, value: Value, more: str = "") -> str:
        number = constant(value)
        made = f"tensor({_numbers(value)}" if number is None else f"full({shape(value)}, {_number(number)}"
        return f"torch.{made}, dtype=torch.{self.dtypes[name]}{more})"


def _keywords(options: Mapping[str, Option]) -> str:
    return "".join(f", {k}={_option(v)}" for k, v in options.items())


def _option(value: Option) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_option(v) for v in value) + ("," if len(value) == 1 else "") + ")"
    return _number(value) if isinstance(value, Fraction) else repr(value)


def _numbers(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_numbers(v) for v in value) + "]"
    return _number(value)


def _number(value: Any) -> str:
    try:
        number = float(exact_binary(value))
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    return repr(number) if math.isfinite(number) else f"float('{number}')"
