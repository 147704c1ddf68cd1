"""The survey of docs/survey.md: `surefoot check` on optimizers that people use, each finding run by itself.

In an environment of its own:

    pip install -e '.[survey]'
    python scripts/survey.py survey.json             # all, in about half an hour; goes on where it stopped
    python scripts/survey.py survey.json torch timm  # only these libraries
    python scripts/survey.py survey.json --page      # write the tables of docs/survey.md from it

Each reproduction that a failure prints is run in a process without surefoot; "reproduced" is what came.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "survey.md"
SECONDS = 240  # for one optimizer; then it is given up
# distribution → module:Class, with options where the class needs them or a path is meant
LIBRARIES = {
    "torch": """
        torch.optim:SGD, torch.optim:SGD foreach=True, torch.optim:SGD fused=True, torch.optim:Adam,
        torch.optim:Adam foreach=True, torch.optim:Adam fused=True, torch.optim:AdamW,
        torch.optim:AdamW fused=True, torch.optim:Adagrad fused=True, torch.optim:NAdam,
        torch.optim:RAdam, torch.optim:RMSprop, torch.optim:Adagrad, torch.optim:Adadelta,
        torch.optim:Adamax, torch.optim:ASGD, torch.optim:Rprop, torch.optim:Adafactor, torch.optim:Muon,
        torch.optim:LBFGS, torch.optim:SparseAdam""",
    "pytorch_optimizer": """
        pytorch_optimizer:SGDW, pytorch_optimizer:AccSGD, pytorch_optimizer:QHM, pytorch_optimizer:AggMo,
        pytorch_optimizer:PID, pytorch_optimizer:SGDP, pytorch_optimizer:SignSGD, pytorch_optimizer:LARS,
        pytorch_optimizer:Lion, pytorch_optimizer:Tiger, pytorch_optimizer:Adai, pytorch_optimizer:AdaBelief,
        pytorch_optimizer:AdamP, pytorch_optimizer:AdaMax, pytorch_optimizer:DiffGrad, pytorch_optimizer:Lamb,
        pytorch_optimizer:MADGRAD, pytorch_optimizer:Muon, pytorch_optimizer:RAdam, pytorch_optimizer:Yogi""",
    "torch-optimizer": """
        torch_optimizer:SGDW, torch_optimizer:SGDP, torch_optimizer:AccSGD, torch_optimizer:AggMo,
        torch_optimizer:PID, torch_optimizer:QHM, torch_optimizer:DiffGrad, torch_optimizer:Lamb,
        torch_optimizer:AdaBelief, torch_optimizer:RAdam, torch_optimizer:Yogi""",
    "timm": """
        timm.optim:SGDW, timm.optim:SGDP, timm.optim:RMSpropTF, timm.optim:Lars, timm.optim:Lion,
        timm.optim:Muon, timm.optim:NAdamW, timm.optim:AdaBelief, timm.optim:AdamP, timm.optim:MADGRAD,
        timm.optim:Lamb, timm.optim:LaProp""",
    "torch-optimi": "optimi:SGD, optimi:Adam, optimi:AdamW, optimi:Lion, optimi:RAdam",
    "lion-pytorch": "lion_pytorch:Lion",
    "schedulefree": """
        schedulefree:SGDScheduleFree, schedulefree:AdamWScheduleFree, schedulefree:RAdamScheduleFree""",
    "adabelief-pytorch": "adabelief_pytorch:AdaBelief",
    "adamp": "adamp:AdamP, adamp:SGDP",
    "adan-pytorch": "adan_pytorch:Adan",
    "came-pytorch": "came_pytorch:CAME",
    "dadaptation": "dadaptation:DAdaptSGD, dadaptation:DAdaptAdam",
    "madgrad": "madgrad:MADGRAD",
    "prodigyopt": "prodigyopt:Prodigy",
}  # fmt: skip


def subjects(library: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is examined of a library: the optimizer, and the options it is given."""
    from surefoot.check.load import parse_options

    for entry in filter(None, map(str.strip, LIBRARIES[library].split(","))):
        name, *options = entry.split()
        yield name, parse_options(options)


def command(subject: str, options: dict[str, Any]) -> str:
    """Return what a user types for it."""
    return " ".join(["surefoot check", subject, *(f"--option {k}={v}" for k, v in options.items())])


def examine(library: str, subject: str, options: dict[str, Any]) -> dict[str, Any]:
    """Do what the command does, and run each reproduction that it prints."""
    from surefoot.check import check
    from surefoot.check.report import as_json

    found = {"library": library, "version": version(library), "command": command(subject, options)}
    signal.alarm(SECONDS)
    try:
        report = json.loads(as_json([check(subject, options=options, sandbox=True)]))
    except Exception as error:  # also what is no InputError: the survey goes on, and the page says it
        return {**found, "error": f"{type(error).__name__}: {error}"}
    finally:
        signal.alarm(0)
    report = report[0] if isinstance(report, list) else report
    for verdict in report["verdicts"]:
        if "reproduce" in verdict:
            verdict["reproduced"] = reproduce(verdict["reproduce"])
    return {**found, "report": report}


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
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        exec(compile(script, "reproduce.py", "exec"), {"__name__": "__main__"})
        answer.send("")
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        answer.send(f"{type(error).__name__}: {said[0]}")


def _late(*_: Any) -> None:
    raise TimeoutError(f"no end in {SECONDS} s")


def main(file: str, *libraries: str) -> None:
    """Examine what the file does not hold yet, and add it line by line."""
    path = Path(file)
    done = read(path)
    if "--page" in libraries:
        write_page(done)
        return
    seen = {x["command"] for x in done}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MALLOC_PERTURB_", "85")  # so that memory nobody wrote to is not zero by chance
    signal.signal(signal.SIGALRM, _late)
    for library in libraries or LIBRARIES:
        for subject, options in subjects(library):
            if command(subject, options) in seen:
                continue
            found = examine(library, subject, options)
            with path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(found) + "\n")
            print(said(found), flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the data of a survey: a JSON object per line."""
    return [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def said(found: dict[str, Any]) -> str:
    """One line on one optimizer, while the survey runs."""
    if "report" not in found:
        return f"{found['command']}: {found['error']}"
    failed = [
        v["id"] + ("" if v.get("reproduced") else " (NOT REPRODUCED)")
        for v in found["report"]["verdicts"]
        if v["outcome"] == "failed"
    ]
    return f"{found['command']}: {', '.join(failed) or 'clean'}"


def write_page(done: list[dict[str, Any]]) -> None:
    """Put the tables into the page, between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    marks = "<!-- table -->", "<!-- end of table -->"
    before, _, rest = text.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    PAGE.write_text(f"{before}{marks[0]}\n{table(done)}\n{marks[1]}{after}", encoding="utf-8")


def table(done: list[dict[str, Any]]) -> str:
    """Every optimizer examined, with what was found."""
    rows = [
        "| library | optimizer | held against | clauses that failed | another convention |",
        "|---|---|---|---|---|",
    ]
    order = {c: i for i, c in enumerate(command(*s) for x in LIBRARIES for s in subjects(x))}
    for found in sorted(done, key=lambda x: order.get(x["command"], len(order))):
        name = found["command"].removeprefix("surefoot check ").replace(" --option ", " ")
        row = [f"{found['library']} {found['version']}", f"`{name}`"]
        if "report" not in found:
            rows.append(f"| {' | '.join(row)} | | could not be examined: {found['error']} | |")
            continue
        verdicts = found["report"]["verdicts"]
        failed = [f"`{v['id']}`" for v in verdicts if v["outcome"] == "failed"]
        none = f"none of {sum(v['outcome'] != 'not applicable' for v in verdicts)}"
        other = [f"`{v['id']}`" for v in verdicts if v["outcome"] == "differs" and v["id"] != "loaded-apart"]
        row += [found["report"]["rule"] or "the contract", ", ".join(failed) or none, ", ".join(other)]
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["survey.json"])
