"""The optimizer under test in this process, asked directly; the sandbox asks it from outside."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import surefoot
from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.facts import FACTS
from surefoot.check.protocol import Answer, Options, Raised, Signature
from surefoot.check.subject.load import Subject
from surefoot.check.subject.prepared import hooked, in_training, tolerant, without_closure
from surefoot.errors import said

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from surefoot.trace import Script, Trace

__all__ = ["NO_THREAD", "Here"]

NO_THREAD = "can't start new thread"
# what an exception passes through that is not the user's: the two packages themselves, not what is called so
_LIBRARIES = tuple(os.path.join(folder, "") for module in (surefoot, torch) for folder in module.__path__)


class Here:
    """A Patient in this process; `apart`: it is a child, which nobody but the optimizer interrupts."""

    def __init__(self, subject: Subject, options: Options | None = None, *, apart: bool = False) -> None:
        self.caught = (BaseException,) if apart else (Exception, SystemExit)
        self.given = subject.signature.given(options or {})
        prepared = hooked(without_closure(in_training(subject), self.given), self.given)
        self.strict = prepared  # with all that a step raises
        self.subject = self.strict

    @property
    def signature(self) -> Signature:
        """How its class is called."""
        return self.subject.signature

    def make(self, options: Options) -> Callable[..., Any]:
        """Return the constructor with its options filled in."""

        def make(params: Any, **more: Any) -> Any:
            try:
                return self.subject.make(params, **{**self.signature.call(self.given), **options, **more})
            except Exception as error:
                if out_of_memory(error):
                    raise MemoryError(said(error)) from error
                raise _Refused(said(error)) from error

        return make

    def tolerate(self, kind: str) -> None:
        """Set aside what every step() raises after its update; "" ends that."""
        self.subject = tolerant(self.strict, kind) if kind else self.strict

    def observe(self, probe: str, case: Options, options: Options) -> Answer:
        """Run a probe or a fact; the answer is what it claims, or what it raised."""
        function = FACTS[probe] if probe in FACTS else CLAUSES[probe].probe
        try:
            with _kept("default" if probe == "no-warnings" else "warn"):
                return {"claims": plain(function(self.make(options), **case))}
        except self.caught as error:
            if out_of_memory(error):
                raise MemoryError(said(error)) from error
            return {"raised": describe(error)}

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        """Nothing bounds the time of this process."""
        return contextlib.nullcontext()

    @functools.cached_property
    def grouped(self) -> bool:
        """Whether it has groups, as every torch.optim.Optimizer; one that cannot be made here will say so."""
        try:
            with _kept():
                opt = self.make({})([torch.nn.Parameter(torch.ones(2, 2))])
        except Exception:
            return True
        return hasattr(opt, "add_param_group") and (
            hasattr(opt, "param_groups") or not isinstance(opt, torch.optim.Optimizer)
        )

    def record(
        self, script: Script, options: Options | None = None, dtype: str = "float64", *, ones: bool = False
    ) -> Trace:
        """Play a script; see `Patient.record`."""
        from surefoot.trace import OptimizerRaised, record

        if len(script.groups) > 1 and not self.grouped:
            raise Raised("AttributeError", "it has no param_groups", action="construction")
        try:
            empty = _Ones() if ones else contextlib.nullcontext()  # type: ignore[no-untyped-call]
            with _kept("default" if ones else "warn"), empty:
                made, name, keys = self.make(options or {}), self.signature.name, self.signature.keys
                return record(script, made, dtype=dtype, label=name, keys=keys, caught=self.caught)
        except OptimizerRaised as error:
            cause = error.__cause__ or error
            if out_of_memory(cause):  # the next script would ask for as much
                raise MemoryError(said(cause)) from cause
            told = {**describe(cause), "action": error.action}
            raise Raised(**told, step=error.step) from cause


@contextlib.contextmanager
def _kept(mode: str = "warn") -> Iterator[None]:
    """Autograd on, no warnings of torch's, and torch.empty making NaN: who reads it shall not pass by luck.

    Afterwards all is as it was, whatever the optimizer did: who turns autograd off, sets a default dtype or
    other threads, or raises where a clause has set some, must not make the next one look wrong, nor the
    program that has it checked.
    """
    before, dtype = torch.get_deterministic_debug_mode(), torch.get_default_dtype()
    threads = torch.get_num_threads()
    torch.set_deterministic_debug_mode(mode)
    try:
        with torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


class _Ones(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """torch.empty makes ones."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        return made.fill_(1) if func.overloadpacket.__name__.startswith(("empty", "new_empty")) else made


class _Refused(Exception):
    """The constructor raised; the cause says what."""


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, or torch in its own words, had no memory left to give, for a thread's stack say."""
    words = ("DefaultCPUAllocator: can't allocate memory", NO_THREAD)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in said(error) for word in words)
    )


def describe(error: BaseException) -> dict[str, str]:
    """Name an exception: its kind, its text, during what, and its innermost line in the user's code."""
    action = "step"
    if isinstance(error, _Refused) and error.__cause__ is not None:
        action, error = "construction", error.__cause__
    line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith((*_LIBRARIES, "<")) and frame.line:
            line = f"line {frame.lineno}: {frame.line}"
    text = re.sub(r"\x1b\[[0-9;]*m", "", said(error)).strip()  # torch writes some in colours
    text = re.sub(r" at 0x[0-9a-fA-F]+(?=>)", "", text)  # no two runs have the same
    return {"kind": type(error).__name__, "said": text, "line": line, "action": action}


def plain(value: Any) -> Any:
    """Make a value plain data, as JSON holds it: tensors become lists."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)
