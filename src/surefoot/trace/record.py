"""Play a Script on a torch optimizer, through its public interface alone, and write down exactly what came.

torch is imported when something is recorded, so that replaying needs none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from surefoot.errors import InputError
from surefoot.trace.events import Move, Reload, Set, Step
from surefoot.trace.keys import Key, held
from surefoot.trace.script import Script
from surefoot.trace.tensors import dtype_of, is_real, plain, read, to_tensor
from surefoot.trace.trace import Moment, Trace
from surefoot.trace.values import Value

__all__ = ["OptimizerRaised", "record"]

# what a reused gradient is overwritten with: far from any honest value, and finite in every dtype
_OVERWRITTEN = 77.0


class OptimizerRaised(Exception):
    """An optimizer raised an exception while it was recorded; `__cause__` is that exception.

    Args:
        action: what it was doing: "construction", "step", "add_param_group", "state_dict", "load_state_dict";
            or "set", where its groups do not have the option that is to be changed.
        step: during which step of the script; 0 before the first.
        trace: what had been recorded until then.
    """

    def __init__(self, action: str, step: int, trace: Trace | None) -> None:
        super().__init__(action, step, trace)
        self.action, self.step, self.trace = action, step, trace

    def __str__(self) -> str:
        """Say what raised what."""
        what = "" if self.action == "step" else f"{self.action} at " if self.step else self.action
        when = f"step {self.step}" if self.step else ""
        return f"{what}{when} raised {type(self.__cause__).__name__}: {self.__cause__}"


def record(
    script: Script,
    make_optimizer: Callable[..., Any],
    *,
    dtype: Any = "float64",
    label: str | None = None,
    keys: Mapping[str, Key] = {},
    caught: tuple[type[BaseException], ...] = (Exception, SystemExit),
) -> Trace:
    """Play a script on a torch optimizer and record w, the gradients and the state after each step, exactly.

    Each floating-point number is recorded as the fraction that it is; NaN and the infinities stay floats.

    Args:
        script: what to play.
        make_optimizer: the class, or a function like it: called with the parameters and the first group's
            options as keywords; with a list of dicts instead of the parameters when there are several groups.
        dtype: of the parameters that the script gives none, e.g. "float32" or torch.float32.
        label: what to call the trace; by default the optimizer's class and dtype.
        keys: the constructor's option → the key under which groups hold it, where that is another; or its
            key, its place in the tuple there, and what that is by default.
        caught: what it may raise and become OptimizerRaised; a KeyboardInterrupt is the user's, and passes.

    Returns:
        The Trace. Its state has each tensor or number that the optimizer keeps in `optimizer.state`.

    Raises:
        InputError: there is no such dtype, nothing that makes an optimizer, or no parameter in the script.
        OptimizerRaised: the optimizer raised; the trace until then is in it.

    Example:
        >>> import torch
        >>> from surefoot.trace import Script
        >>> script = Script.of({"w": [2, 3]}, gradients=[{"w": [18, 40.5]}], lr=0.25)
        >>> record(script, torch.optim.SGD).steps[0].w
        {'w': (Fraction(-5, 2), Fraction(-57, 8))}
    """
    if not callable(make_optimizer):
        raise InputError(
            "record requires an optimizer's class, or a function that makes one, not a "
            f"{type(make_optimizer).__name__}."
        )
    if not script.start:
        raise InputError("The script has no parameters to step; give it a start, such as {'w': 1}.")
    dtype = str(dtype).removeprefix("torch.")
    return _Recording(script, make_optimizer, dtype, label, keys, caught).play()


class _Recording:
    """A recording under way: the live parameters and optimizer, and the moments so far."""

    def __init__(
        self,
        script: Script,
        make: Callable[..., Any],
        dtype: str,
        label: str | None,
        keys: Mapping[str, Key],
        caught: tuple[type[BaseException], ...],
    ) -> None:
        import torch

        self.script, self.make, self.label, self.keys, self.caught = script, make, label, keys, caught
        self.dtypes = {n: script.dtypes.get(n, dtype) for n in script.names}
        self.parameters = {
            n: torch.nn.Parameter(to_tensor(v, self.dtypes[n])) for n, v in script.start.items()
        }
        self.start = self.weights()
        self.moments: list[Moment] = []
        self.options = [dict(group.options) for group in script.groups]
        self.state_dtypes: dict[str, str] = {}
        self.optimizer: Any = None
        self.live = script.joining(1)  # groups as the optimizer numbers them: in the order of joining

    def play(self) -> Trace:
        with self.raising("construction", 0):
            self.optimizer = self.construct()
        for t, step in enumerate(self.script.steps, 1):
            self.begin(t, step)
            before = self.weights()
            given = self.set_gradients(t, step, before)
            with self.raising("step", t):
                self.optimizer.step()
            self.moments.append(
                Moment(
                    tuple(dict(o) for o in self.options), before, before, given, self.weights(), self.state()
                )
            )
            if self.script.reuse_gradients:
                for p in self.parameters.values():
                    if p.grad is not None:
                        p.grad.fill_(_OVERWRITTEN)
        return self.trace()

    def construct(self) -> Any:
        """Make an optimizer of the groups that have joined, with their present options."""
        groups = [self.group(i) for i in self.live]
        options = {k: v for k, v in groups[0].items() if k != "params"} if groups else {}
        params = groups[0]["params"] if len(groups) == 1 else [self.keyed(g) for g in groups]
        return self.make(params, **options)

    def group(self, index: int) -> dict[str, Any]:
        parameters = [self.parameters[n] for n in self.script.groups[index].names]
        return {"params": parameters, **{k: plain(v) for k, v in self.options[index].items()}}

    def keyed(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A group with the keys that its options have in the optimizer's groups."""
        return held(group, self.keys)

    def begin(self, t: int, step: Step) -> None:
        """Let what happens before a step happen."""
        for index in self.script.joining(t) if t > 1 else []:
            with self.raising("add_param_group", t):
                self.optimizer.add_param_group(self.keyed(self.group(index)))
            self.live.append(index)
        for event in step.events:
            if isinstance(event, Set):
                self.set(event, t)
            elif isinstance(event, Move):
                new = to_tensor(event.value, self.dtypes[event.name])
                self.parameters[event.name].detach().copy_(new)
            elif isinstance(event, Reload):
                self.reload(t)

    def set(self, event: Set, t: int) -> None:
        [key] = held({event.option: event.value}, self.keys)
        for index in event.meant(len(self.options)):
            self.options[index][event.option] = event.value
            if index in self.live:
                with self.raising("set", t):
                    target = self.optimizer.param_groups[self.live.index(index)]
                    if key not in target:  # writing there would change nothing
                        raise KeyError(f"{key} is not in the optimizer's param_groups")
                target[key] = self.keyed(self.group(index))[key]

    def reload(self, t: int) -> None:
        with self.raising("state_dict", t):
            saved = copy.deepcopy(self.optimizer.state_dict())
        with self.raising("load_state_dict", t):
            self.optimizer = self.construct()
            self.optimizer.load_state_dict(saved)

    def set_gradients(self, t: int, step: Step, before: Mapping[str, Value]) -> dict[str, Value]:
        """Give each parameter its gradient, and return them as the parameters hold them."""
        function = self.script.function
        gradients = step.gradients
        if gradients is None:
            assert function is not None  # a Script without either is refused when it is made
            try:
                gradients = function.gradient(before, float)
            except InputError as error:
                raise InputError(f"At step {t}: {error}") from None
        for name, p in self.parameters.items():
            if name not in gradients:
                p.grad = None
                continue
            gradient = to_tensor(gradients[name], self.dtypes[name])
            if self.script.reuse_gradients and p.grad is not None:
                p.grad.copy_(gradient)
            else:
                p.grad = gradient
        return {n: read(p.grad) for n, p in self.parameters.items() if p.grad is not None}

    def weights(self) -> dict[str, Value]:
        return {n: read(p) for n, p in self.parameters.items()}

    def state(self) -> dict[str, dict[str, Value]]:
        found: dict[str, dict[str, Value]] = {}
        for name, p in self.parameters.items():
            held_by = getattr(self.optimizer, "state", {})  # a class without torch's base has none
            # by no look-up: where it is kept by id(p), which is p's hash, p would be compared with that
            slots: Mapping[str, Any] = next((kept for key, kept in held_by.items() if key is p), {})
            kept = {str(slot): read(v) for slot, v in slots.items() if is_real(v)}
            self.state_dtypes |= {str(k): dtype_of(v) for k, v in slots.items() if is_real(v) and dtype_of(v)}
            if kept:
                found[name] = kept
        return found

    def trace(self) -> Trace:
        label = self.label
        if label is None:
            kinds = ", ".join(dict.fromkeys(self.dtypes.values()))
            label = f"{type(self.optimizer).__name__} in {kinds}"
        return Trace(self.script, label, self.start, tuple(self.moments), self.dtypes, self.state_dtypes)

    @contextmanager
    def raising(self, action: str, step: int) -> Iterator[None]:
        try:
            yield
        except self.caught as error:
            raise OptimizerRaised(
                action, step, self.trace() if self.optimizer is not None else None
            ) from error
