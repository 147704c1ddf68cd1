"""Write docs/clauses.md: every clause, why it matters, how to fix it, and which wrong optimizers it catches.

python scripts/docs_clauses.py
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEEP = {"compiled_drops_momentum": "compiles", "norm_of_a_shard": "sharded"}
HEAD = """# All clauses

What `surefoot check` examines, in the order of its report: what each clause requires, why it matters and
how to fix a failure. Below each clause are the wrong optimizers of `tests/mutants` that it catches; a test
keeps this page true. An optimizer that fails `rule` usually fails the other arithmetic clauses as well; it
is listed under `rule` only. Brackets name the project where the mistake was found, and the number of the
issue or pull request there.

<!-- written by scripts/docs_clauses.py -->
"""


def page() -> str:
    """The page as it should be now."""
    from surefoot.check.choose import clauses

    caught = json.loads((ROOT / "tests/golden/check/caught.json").read_text())
    arithmetic = json.loads((ROOT / "tests/golden/check/caught_arithmetic.json").read_text())
    for name, id in DEEP.items():
        caught[name] = [*caught.get(name, []), id]
    for name, ids in arithmetic.items():  # what the plain steps show, most of the others show too
        caught[name] = caught.get(name, []) + (["rule"] if "rule" in ids else ids)
    lines = [HEAD]
    group = ""
    order = list(dict.fromkeys(c.group for c in clauses().values()))
    for clause in sorted(clauses().values(), key=lambda c: order.index(c.group)):
        if clause.group != group:
            group = clause.group
            lines += [f"## {group.capitalize()}", ""]
        lines += [
            f"### `{clause.id}`: {clause.title}",
            "",
            _code(clause.why),
            "",
            f"How to fix: {_code(clause.mend)}",
            "",
        ]
        found = [f"- `{name}`: {_fault(name)}" for name, ids in sorted(caught.items()) if clause.id in ids]
        if found:
            lines += ["Catches:", "", *found, ""]
    return "\n".join(lines).rstrip() + "\n"


def _code(words: str) -> str:
    """Put in backticks what Markdown would take for emphasis."""
    return re.sub(r"__\w+__|\*\*\w+", r"`\g<0>`", words)


def _fault(mutant: str) -> str:
    """The first line of a mutant, which says what is wrong with it."""
    source = (ROOT / "tests/mutants" / f"{mutant}.py").read_text()
    return _code((ast.get_docstring(ast.parse(source)) or "").splitlines()[0])


if __name__ == "__main__":
    (ROOT / "docs/clauses.md").write_text(page(), encoding="utf-8")
