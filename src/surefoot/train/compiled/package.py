"""Packages of compiled steps: built once by AOTInductor, kept in the cache folder, loaded in milliseconds.

A package is native code. Only a file that surefoot wrote itself is loaded: its folder is the user's, nobody
else may write there, and its SHA-256 is the one written down when it was built.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import surefoot
from surefoot.optim.functional import sgd
from surefoot.train.cache import cache_folder
from surefoot.train.compiled.fingerprint import fingerprint
from surefoot.train.compiled.noise import Noise, by_bits
from surefoot.train.compiled.options import constants
from surefoot.train.objective.losses import summed, weigher
from surefoot.train.steps.engine import Job, parts, weighted
from surefoot.train.steps.sharable import expected
from surefoot.train.steps.threads import AT_FIRST, by

if TYPE_CHECKING:
    from surefoot.train.compiled.program import Program

__all__ = ["Package", "folder", "key", "load", "store", "trusted"]


class Package(NamedTuple):
    """A program that can be run: see Program for what it takes."""

    run: Callable[[list[Tensor]], list[Tensor]]
    momenta: tuple[str, ...]
    noise: tuple[Noise, ...]


_COMPILER = {
    # write a momentum buffer down once, rather than work it out anew at each use from gradients kept for that
    "realize_reads_threshold": 1,
    # loops by as many threads as torch is set to when they run
    "cpp.dynamic_threads": True,
}
_TRACING = ("program.py", "noise.py", "turned.py")  # what the program comes of
_DAY = 86400  # seconds


def folder() -> Path:
    """The folder of packages: SUREFOOT_CACHE, or the user's cache folder; made for this user alone."""
    place = cache_folder() / "compiled"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def key(job: Job, x: Tensor, y: Tensor) -> str:
    """Everything that the program of K batches x and y depends on, as one hash.

    The model's structure and tensors, what its Python and the loss's do, the options that are constants of
    the program, the shapes of K batches, versions, the processor's capability, how many threads it has
    and whether two are to take the steps.

    Raises:
        Untold: the model or the loss refers to more than can be looked through, or the loss to the model's
            own tensors, which would be constants of the program.
    """
    model, groups = job.model, job.optimizer.param_groups
    tensors = [*model.named_parameters(), *model.named_buffers()]
    names = {p: n for n, p in model.named_parameters()}
    inputs = {id(t): name for name, t in tensors}
    found = [
        repr(model),
        [(n, tuple(t.shape), str(t.dtype), t.stride(), t.requires_grad) for n, t in tensors],
        [[names.get(p) for p in g["params"]] for g in groups],
        constants(groups),
        [(tuple(t.shape), str(t.dtype)) for t in (x, y)],
        (job.clip, job.accumulate),
        [fingerprint(model, inputs), fingerprint(job.loss, inputs, apart="its loss")],
        [fingerprint(used) for used in (sgd, parts, weighted, weigher, summed)],
        [surefoot.__version__, torch.__version__, np.__version__, platform.python_version()],
        [platform.machine(), AT_FIRST, expected(job, len(x[0])) == 2, _COMPILER, by_bits()],
        torch.backends.cpu.get_cpu_capability(),
        *(hashlib.sha256(Path(__file__).with_name(own).read_bytes()).hexdigest() for own in _TRACING),
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:32]


def store(program: Program, name: str) -> None:
    """Compile the program and keep it under `name`: 15 to 25 s on two cores.

    Raises:
        Exception: whatever the compiler raises; nothing is left behind.
    """
    exported = torch.export.export(program.graph, _example(program))
    handle, temporary = tempfile.mkstemp(dir=folder(), suffix=".pt2")
    os.close(handle)
    try:
        with by(AT_FIRST), _short_loops_alone():
            torch._inductor.aoti_compile_and_package(
                exported, package_path=temporary, inductor_configs=dict(_COMPILER)
            )
        os.chmod(temporary, 0o600)
        digest = hashlib.sha256(Path(temporary).read_bytes()).hexdigest()
        # named by its content: of two processes that compile at once, each note has its own package
        package = folder() / f"{name}-{digest[:16]}.pt2"
        os.replace(temporary, package)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    about = {
        "file": package.name,
        "sha256": digest,
        "momenta": program.momenta,
        "noise": [asdict(n) for n in program.noise],
    }
    note = folder() / f"{name}.json.{os.getpid()}"
    note.write_text(json.dumps(about))
    os.chmod(note, 0o600)  # whatever the umask: what others may write to is not trusted
    os.replace(note, folder() / f"{name}.json")
    _tidy()


@contextlib.contextmanager
def _short_loops_alone() -> Iterator[None]:
    """Leave short loops to one thread, as inductor does where the number of threads is fixed.

    Where it is dynamic, inductor makes every loop parallel, even short ones: that is slower, and the bits of
    short sums would depend on the number.
    """
    from torch._inductor import config
    from torch._inductor.codegen import cpp

    part = cpp.CppKernel.decide_parallel_depth

    def parted(*args: Any) -> Any:
        with config.patch({"cpp.dynamic_threads": False}):
            return part(*args)  # type: ignore[no-untyped-call]

    cpp.CppKernel.decide_parallel_depth = parted  # type: ignore[method-assign]
    try:
        yield
    finally:
        cpp.CppKernel.decide_parallel_depth = part  # type: ignore[method-assign]


def _tidy() -> None:
    """Drop what no note names: what was replaced, or left by a compilation that was killed.

    Nothing of today, which may be under way in another process.
    """
    named = set()
    for note in folder().glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            named.add(json.loads(note.read_text())["file"])
    for left in (*folder().glob("*.pt2"), *folder().glob("*.json.*")):
        with contextlib.suppress(OSError):
            if left.name not in named and time.time() - left.stat().st_mtime > _DAY:
                left.unlink()


def load(name: str) -> Package | None:
    """The program kept under `name`, or None if there is none that may be trusted.

    Raises:
        Exception: whatever torch raises of a package that it cannot load.
    """
    note = folder() / f"{name}.json"
    try:
        about = json.loads(note.read_text())
        package = folder() / Path(about["file"]).name
        if not all(_is_ours(p) for p in (folder(), package, note)):
            return None
        if hashlib.sha256(package.read_bytes()).hexdigest() != about["sha256"]:
            return None
        noise = [
            Noise(n["op"], tuple(n["shape"]), n["dtype"], tuple(n["args"]), n["bits"]) for n in about["noise"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Package(_loaded(package).run, tuple(about["momenta"]), tuple(noise))


def _loaded(package: Path) -> Any:
    """The program in a package; how it is asked for depends on the version: from 2.8, 2.7 and 2.6 on."""
    for more in ((False, 1, -1), (False,), ()):
        with contextlib.suppress(TypeError):
            return torch._C._aoti.AOTIModelPackageLoader(str(package), "model", *more)
    raise RuntimeError(f"torch {torch.__version__} has no known way to load packages")


def trusted() -> bool:
    """May packages be loaded from the folder at all?"""
    return _is_ours(folder())


def _is_ours(path: Path) -> bool:
    """Does this path belong to this user, and may nobody else write to it?"""
    about = path.stat()
    if not hasattr(os, "getuid"):
        return True
    return about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _example(program: Program) -> tuple[Tensor, ...]:
    return (*(t.clone() for t in program.inputs), *(n.drawer()() for n in program.noise))
