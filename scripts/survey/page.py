"""The tables of docs/survey.md, written from what the survey found and judged.toml says of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libraries import JUDGED, LIBRARIES, ROOT, found

PAGE = ROOT / "docs" / "survey.md"
FAULT, UNCHECKED, DESIGN, OTHER = "fault", "unchecked", "design", "convention"
# what is taken though it cannot be meant, or though the optimizer cannot handle it
UNCHECKED_CLAUSES = {"refuses-values", "refuses-names", "complex-parts", "sparse", "every-dtype"}
FEW = 3  # a clause that fewer fail is only in the library's own table
NONE = ("made", "a base class", "another name")  # why what is left out is no optimizer that was not examined
STILL = "no parameter moves in its first 9 steps"
ALWAYS_OTHER = "loaded-apart"  # all do as torch's own load_state_dict does


@dataclass(frozen=True)
class Row:
    """What came of one optimizer on one path."""

    library: str
    version: str
    name: str
    path: str
    rule: str
    error: str
    clauses: int
    kinds: dict[str, tuple[str, ...]]

    @property
    def examined(self) -> bool:
        """Whether more could be asked than if it can be constructed."""
        return not self.error


def write(where: Path) -> None:
    """Put counts and tables into the page, each between its marks."""
    data = found(where)
    rows = [row(x) for x in data]
    text = PAGE.read_text(encoding="utf-8")
    summary, table = counts(rows)
    parts = {"summary": summary, "counts": table, "tried": tried(data)}
    parts |= {"common": common(rows), "tables": tables(rows)}
    for mark, made in parts.items():
        start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n{made}\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


def row(data: dict[str, Any]) -> Row:
    """Read one optimizer's report, and judge each failure."""
    subject, *options = data["command"].removeprefix("surefoot check ").split(" --option ")
    name = subject.rpartition(":")[2].removeprefix(f"{data['library'].replace('-', '_')}_")
    given = LIBRARIES[data["library"]].get("options", {}).get(name, [])
    path = ", ".join(o for o in options if o not in given)
    report = data.get("report", {"verdicts": [], "rule": None})
    verdicts = [v for v in report["verdicts"] if v["id"] != ALWAYS_OTHER]
    kinds: dict[str, list[str]] = {FAULT: [], UNCHECKED: [], DESIGN: [], OTHER: []}
    for v in verdicts:
        if v["outcome"] == "differs":
            kinds[OTHER].append(v["id"])
        elif v["outcome"] == "failed" and v.get("shown", "reproduce" not in v) and not echoes(v):
            kinds[judged(data["library"], name, v["id"])].append(v["id"])
    arithmetic = [v["id"] for v in verdicts if v["group"] == "arithmetic"]
    short = {k: tuple(shortened(ids, arithmetic)) for k, ids in kinds.items()}
    clauses = sum(v["outcome"] != "not applicable" for v in verdicts)
    error = data.get("error", "") or unexamined(verdicts)
    return Row(data["library"], data["version"], name, path, report["rule"] or "", error, clauses, short)


def tried(data: Iterable[dict[str, Any]]) -> str:
    """Say how many of the printed reproductions showed what they say."""
    shown = [v["shown"] for x in data if "report" in x for v in x["report"]["verdicts"] if "shown" in v]
    told = f"Of {len(shown)} reproductions that were printed {sum(shown)} showed what they say"
    return f"{told}; the others are left out."


def echoes(verdict: dict[str, Any]) -> bool:
    """Whether a failure only says that another one has named its fault."""
    return "diagnosis" in verdict and "reproduce" not in verdict


def judged(library: str, name: str, clause: str) -> str:
    """Say of what kind a failure is."""
    for j in JUDGED:
        if j["library"] == library and clause in j["clauses"] and name in j.get("optimizers", [name]):
            return str(j["kind"])
    return UNCHECKED if clause in UNCHECKED_CLAUSES else FAULT


def shortened(ids: list[str], arithmetic: list[str]) -> Iterable[str]:
    """Write "arithmetic" where all of it is named."""
    if len(arithmetic) > 1 and set(arithmetic) <= set(ids):
        yield "arithmetic"
        ids = [i for i in ids if i not in arithmetic]
    yield from ids


def unexamined(verdicts: list[dict[str, Any]]) -> str:
    """Say why next to nothing could be examined, if so: it cannot be made, or makes no plain step."""
    notes = [v.get("note", "") for v in verdicts if v["group"] not in ("arithmetic", "process")]
    for why in (
        "its plain step fails: ",
        "it cannot be constructed: ",
        "its step() needs a closure",
        STILL,
    ):
        if note := next((n for n in notes if n.startswith(why)), ""):
            note = note.removeprefix("its plain step fails: ").removeprefix("it rejects this itself: ")
            return STILL if note == "w moves in 9 steps" else textwrap.shorten(note, 110, placeholder=" …")
    return ""


def counts(rows: Sequence[Row]) -> tuple[str, str]:
    """A paragraph, and a table with a line for each library: how many optimizers, and what became of them."""
    lines = ["| library | optimizers | clean | with faults | unchecked input only | not examined |"]
    lines += ["|---|" + "--:|" * 5]
    sums, findings = [0] * 5, dict.fromkeys((FAULT, UNCHECKED, DESIGN, OTHER), 0)
    libraries = list(dict.fromkeys(r.library for r in rows))
    for library in libraries:
        mine = classes(r for r in rows if r.library == library)
        seen = [kinds for kinds, examined in mine.values() if examined]
        faulty = sum(bool(k[FAULT]) for k in seen)
        lax = sum(not k[FAULT] and bool(k[UNCHECKED]) for k in seen)
        left = len([why for why in left_out(library).values() if not why.startswith(NONE)])
        unseen = len(mine) - len(seen) + left
        numbers = [len(mine) + left, len(seen) - faulty - lax, faulty, lax, unseen]
        sums = [a + b for a, b in zip(sums, numbers, strict=True)]
        findings = {k: n + sum(len(kinds[k]) for kinds in seen) for k, n in findings.items()}
        version = next(r.version for r in rows if r.library == library)
        link = f"[{library} {version}](#{anchor(f'{library} {version}')})"
        lines.append(f"| {link} | {' | '.join(map(str, numbers))} |")
    lines.append(f"| **all** | {' | '.join(f'**{n}**' for n in sums)} |")
    faults, unchecked, design, other = findings.values()
    said = (
        f"{sums[0]} optimizers of {len(libraries)} libraries, of which {sums[0] - sums[4]} could be examined,"
        f" on {len(rows)} paths: {sums[2]} of them have faults, {sums[3]} only take input that they cannot"
        f" handle, and {sums[1]} kept every clause. Optimizer by optimizer and clause by clause that is"
        f" {faults} faults, {unchecked} times unchecked input, {design} times what is meant, {other} times"
        " another convention. A fault of a base class is counted for each optimizer that has it."
    )
    return textwrap.fill(said, 118), "\n".join(lines)


def anchor(heading: str) -> str:
    """Return what the page calls a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def left_out(library: str) -> dict[str, str]:
    """Return the optimizers of a library that were not taken, and why."""
    return dict(LIBRARIES[library].get("leave", {}))


def classes(rows: Iterable[Row]) -> dict[str, tuple[dict[str, set[str]], bool]]:
    """Gather rows by optimizer: the clauses of each kind on any path, and whether any could be examined."""
    gathered: dict[str, tuple[dict[str, set[str]], bool]] = {}
    for r in rows:
        kinds, seen = gathered.get(r.name, ({k: set() for k in (FAULT, UNCHECKED, DESIGN, OTHER)}, False))
        if r.examined:
            kinds = {k: kinds[k] | set(r.kinds[k]) for k in kinds}
        gathered[r.name] = kinds, seen or r.examined
    return gathered


def common(rows: Sequence[Row]) -> str:
    """The clauses that most optimizers fail."""
    failing: dict[str, dict[str, list[str]]] = {}
    for library in dict.fromkeys(r.library for r in rows):
        for kinds, _ in classes(r for r in rows if r.library == library).values():
            for kind in (FAULT, UNCHECKED, DESIGN):
                for clause in kinds[kind]:
                    failing.setdefault(clause, {}).setdefault(kind, []).append(library)
    lines = ["| clause | as a fault | as unchecked input | by design | libraries |", "|---|--:|--:|--:|--:|"]
    everywhere = {clause: [x for where in kinds.values() for x in where] for clause, kinds in failing.items()}
    for clause, where in sorted(everywhere.items(), key=lambda x: (-len(x[1]), x[0])):
        kinds = failing[clause]
        if len(where) >= FEW:
            numbers = [str(len(kinds[k])) if k in kinds else "" for k in (FAULT, UNCHECKED, DESIGN)]
            lines.append(f"| `{clause}` | {' | '.join(numbers)} | {len(set(where))} |")
    return "\n".join(lines)


def tables(rows: Sequence[Row]) -> str:
    """One table for each library."""
    parts = []
    for library in dict.fromkeys(r.library for r in rows):
        mine = [r for r in rows if r.library == library]
        parts += [f"### {library} {mine[0].version}", ""]
        parts += [
            "| optimizer | held against | faults | unchecked input | by design, or another convention |"
        ]
        parts += ["|---|---|---|---|---|"]
        for name in dict.fromkeys(r.name for r in mine):
            parts += [cells(name, paths) for paths in merged([r for r in mine if r.name == name])]
        left = {n: why for n, why in left_out(library).items() if why != "made"}
        parts += [f"| `{n}` | | not examined: {why} | | |" for n, why in left.items()]
        parts.append("")
    return "\n".join(parts).rstrip()


def merged(rows: list[Row]) -> list[list[Row]]:
    """Gather the paths of one optimizer on which the same was found."""
    gathered: dict[Any, list[Row]] = {}
    for r in rows:
        gathered.setdefault((r.error, tuple(sorted(r.kinds.items()))), []).append(r)
    return list(gathered.values())


def cells(name: str, paths: list[Row]) -> str:
    """One line of a table."""
    first = paths[0]
    label = f"`{name}`" + (f" {first.path}" if first.path else "")
    label += "".join(f"; {r.path}" for r in paths[1:])
    if first.error:
        return f"| {label} | {first.rule} | not examined: {first.error} | | |"
    faults, unchecked, design, other = (
        ", ".join(f"`{c}`" for c in first.kinds[k]) for k in (FAULT, UNCHECKED, DESIGN, OTHER)
    )
    none = "" if unchecked else f"none, of {first.clauses} clauses"
    rest = ", ".join(filter(None, (design, other)))
    return f"| {label} | {first.rule or 'the contract'} | {faults or none} | {unchecked} | {rest} |"
