"""The part of the survey that runs in a library's environment: check its optimizers, try what is printed."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from libraries import LIBRARIES

from surefoot.check import check
from surefoot.check.choose import clauses
from surefoot.check.report import as_json
from surefoot.check.subject.load import load, optimizers
from surefoot.options import parse_options

SECONDS = 240  # for one optimizer; then it is given up
PATHS = ("foreach=True", "fused=True", "capturable=True")  # what is not what runs on a CPU by itself


def subjects(library: str) -> Iterator[tuple[str, list[str]]]:
    """Yield what is examined of a library: the optimizer, and the options that a user would type."""
    plan = LIBRARIES[library]
    for module in plan.get("modules", []):
        for subject in optimizers(module):
            name = subject.rpartition(":")[2]
            subject = f"{plan.get('through', module)}:{name}"
            if name in plan.get("leave", {}):
                continue
            made = load(subject).make
            if not _own(made, library, module):
                continue
            given = plan.get("options", {}).get(name, [])
            yield subject, given
            offered = inspect.signature(made).parameters
            for path in plan.get("paths", PATHS):
                if path.partition("=")[0] in offered:
                    yield subject, [*given, path]
    for subject in plan.get("made", []):
        yield subject, []


def _own(made: type, library: str, module: str) -> bool:
    """Whether a class is a library's own: torch.optim's are offered by others too."""
    own = LIBRARIES[library].get("own", [module.split(".")[0]])
    return any(made.__module__ == m or made.__module__.startswith(f"{m}.") for m in own)


def command(subject: str, options: list[str]) -> str:
    """Return what a user types for it."""
    return " ".join(["surefoot check", subject, *(f"--option {o}" for o in options)])


def examine(library: str, subject: str, options: list[str], only: Sequence[str] = ()) -> dict[str, Any]:
    """Do what the command does, or of some clauses only, and run each reproduction that it prints."""
    found = {"library": library, "version": version(library), "command": command(subject, options)}
    signal.alarm(SECONDS)
    try:
        report = json.loads(
            as_json([check(subject, options=parse_options(options), only=only, sandbox=True)])
        )
    except Exception as error:  # also what is no InputError: the survey goes on, and the page says it
        return {**found, "error": f"{type(error).__name__}: {error}"}
    finally:
        signal.alarm(0)
    for verdict in report["verdicts"]:
        if "reproduce" in verdict:
            verdict["came"] = reproduce(verdict["reproduce"])
            verdict["shown"] = _as_said(verdict)
    return {**found, "report": report}


def _as_said(verdict: dict[str, Any]) -> bool:
    """Whether a reproduction ended as its failure says: at an assertion, or with the exception reported."""
    kind = verdict["came"].partition(":")[0]
    told = f"{verdict.get('raised', '')} {verdict.get('got', '')}"
    return kind == "AssertionError" or (kind != "" and kind in told)


def reproduce(script: str) -> str:
    """Run a reproduction in a process that knows torch alone; return what it raised, or "" if nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])  # the first step() imports the second
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_reproduce, args=(script, theirs))
    process.start()
    theirs.close()
    process.join(60)
    if process.is_alive():
        process.kill()
        return "no end in 60 s"
    try:
        return str(ours.recv())
    except EOFError:
        return f"exit code {process.exitcode}"


def _reproduce(script: str, answer: Connection) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        exec(compile(script, "reproduce.py", "exec"), {"__name__": "__main__"})
        answer.send("")
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        answer.send(f"{type(error).__name__}: {said[0]}")


def _late(*_: Any) -> None:
    raise TimeoutError(f"no end in {SECONDS} s")


def said(found: dict[str, Any]) -> str:
    """One line on one optimizer, while the survey runs."""
    if "report" not in found:
        return f"{found['command']}: {found['error']}"
    failed = [
        v["id"] + ("" if v.get("shown") or "reproduce" not in v else f" (NOT SHOWN: {v['came']!r})")
        for v in found["report"]["verdicts"]
        if v["outcome"] == "failed"
    ]
    return f"{found['command']}: {', '.join(failed) or 'clean'} ({found['report']['seconds']:.1f} s)"


def renew(library: str, path: Path, id: str) -> None:
    """Ask one clause of all that the file holds, as when it is new, and put its answer where it belongs."""
    order = list(clauses())
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = {command(subject, options): (subject, options) for subject, options in subjects(library)}
    for held in lines:
        if "report" not in held:
            continue
        again = examine(library, *asked[held["command"]], only=[id])
        (new,) = [v for v in again["report"]["verdicts"] if v["id"] == id]
        if new["outcome"] == "failed":  # all again: what several clauses meet is told by the first
            again = examine(library, *asked[held["command"]])
            held["report"] = again.get("report", held["report"])  # what could not be asked again stays
            print(said(again), flush=True)
            continue
        others = [v for v in held["report"]["verdicts"] if v["id"] != id]
        held["report"]["verdicts"] = sorted([*others, new], key=lambda v: order.index(v["id"]))
    path.write_text("".join(json.dumps(held) + "\n" for held in lines), encoding="utf-8")


def main(library: str, file: str, id: str = "") -> None:
    """Examine what the file does not hold yet, and add it line by line; or ask one clause again of all."""
    path = Path(file)
    signal.signal(signal.SIGALRM, _late)
    warnings.simplefilter("ignore")
    if id:
        renew(library, path, id)
        return
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    seen = {json.loads(line)["command"] for line in lines}
    for subject, options in subjects(library):
        if command(subject, options) in seen:
            continue
        found = examine(library, subject, options)
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(found) + "\n")
        print(said(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
