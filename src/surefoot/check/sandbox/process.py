"""What the system says of a process: the time that it used, or waited for, and how it ended; and its end."""

from __future__ import annotations

import contextlib
import os
import signal

__all__ = ["compilers", "ending", "kill", "kill_group", "time_queued", "time_used"]


# as they are called while they run: what torch.compile starts
COMPILERS = {"cc1plus", "g++", "c++", "clang++", "clang", "collect2", "ld", "as"}


def time_queued(pid: int) -> float:
    """Seconds that a process was ready to run and no processor was free; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def time_used(pid: int) -> float:
    """Seconds of processors that all threads of a process have had; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def compilers(pid: int) -> bool:
    """Whether a C++ compiler works for a process just now, started by it or by what it has started."""
    parents, names = {}, {}
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{entry.name}/stat", encoding="ascii", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
            parents[int(entry.name)], names[int(entry.name)] = int(rest.split()[1]), name
    for process, name in names.items():
        while name in COMPILERS and process in parents:
            process = parents[process]
            if process == pid:
                return True
    return False


def kill_group(pid: int) -> None:
    """Kill what a process has started, and itself if it still runs; nothing, where it has no group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill(pid: int) -> None:
    """Kill a process and what it has started."""
    kill_group(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # it may have no group yet


def ending(code: int) -> str:
    """How a process ended, by its exit code, which is negative for a signal."""
    if code >= 0:
        return f"exit code {code}, as os._exit({code}) does"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"  # a real-time signal has no name
