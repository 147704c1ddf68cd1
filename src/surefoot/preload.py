"""torch's libraries, opened by a thread while Python gets ready what comes before torch.

The system takes 0.2 s to open them, in which Python need not wait.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path

__all__ = ["begin", "thread", "wait"]

# While one library is opened, every other waits: those that are wanted meanwhile come first.
_BEFORE = (
    "numpy", "_asyncio", "_bisect", "_blake2", "_bz2", "_contextvars", "_csv", "_ctypes", "_datetime",
    "_decimal", "_hashlib", "_heapq", "_json", "_lzma", "_multiprocessing", "_opcode", "_pickle",
    "_posixshmem", "_posixsubprocess", "_queue", "_random", "_sha2", "_sha512", "_socket", "_ssl",
    "_struct", "_typing", "_uuid", "array", "binascii", "cmath", "fcntl", "grp", "math", "mmap", "select",
    "unicodedata", "zlib",
)  # fmt: skip

# what torch imports, too, and what has no library of its own
_MEANWHILE = (
    "importlib.metadata", "multiprocessing.connection", "pickletools", "tarfile", "torchgen.model", "tqdm",
    "typing_extensions", "unittest.mock", "urllib.request", "uuid",
)  # fmt: skip

thread: threading.Thread | None = None  # what opens them; a process must not end as usual before it has


def begin() -> None:
    """Start to open them, where that is known to go well; torch's import finds them open, or waits."""
    global thread
    if thread is not None or "torch" in sys.modules or sys.platform != "linux":
        return
    _import(_BEFORE)
    folder = _folder()
    if folder is not None:
        opening = threading.Thread(target=_open, args=(folder,))
        with contextlib.suppress(RuntimeError):  # the system starts no thread: torch's import opens them
            opening.start()
            thread = opening


def _folder() -> Path | None:
    """Where they are; None where there is no torch, or one for GPUs.

    Its import opens NVIDIA's libraries by their paths before its own, which would find the system's instead.
    """
    torch = importlib.util.find_spec("torch")
    if torch is None or not torch.submodule_search_locations:
        return None
    folder = Path(torch.submodule_search_locations[0]) / "lib"
    gpu = any((folder / f"libtorch_{kind}.so").exists() for kind in ("cuda", "hip", "xpu"))
    return None if gpu else folder


def wait() -> None:
    """Until they are open, if anybody opens them; of torch's import, do what can be done without them."""
    if thread is not None:
        _import(_MEANWHILE)
        thread.join()


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):  # another Python or torch has it elsewhere, or not at all
            importlib.import_module(name)


def _open(folder: Path) -> None:
    import ctypes

    # called as any function of C, while others go on: Python's own ways to open a library stop them all
    try:
        dlopen = ctypes.CDLL(None).dlopen
    except (AttributeError, OSError):  # a Python linked statically has none
        return
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    # in the order and the ways of torch's import, which tells better what is amiss
    if dlopen(os.fsencode(folder / "libtorch_global_deps.so"), os.RTLD_NOW | os.RTLD_GLOBAL):
        dlopen(os.fsencode(folder / "libtorch_python.so"), os.RTLD_NOW)
