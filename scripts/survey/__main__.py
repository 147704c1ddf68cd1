"""The survey of docs/survey.md: `surefoot check` on the optimizers that people use, each library on its own.

    python scripts/survey FOLDER                # all of libraries.toml; goes on where it stopped
    python scripts/survey FOLDER torch timm     # only these libraries
    python scripts/survey FOLDER --clause ID    # ask one clause, new or mended, of all that were examined
    python scripts/survey FOLDER --page         # write the tables of docs/survey.md from what was found
    python scripts/survey FOLDER --told         # run every program that docs/survey.md shows

Each library gets an environment in FOLDER/env, beside one with torch and what surefoot needs. What is found
goes to FOLDER/found, a line of JSON for an optimizer; each reproduction that is printed is run, in a process
without surefoot, and counts as shown only if it ends as the failure says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from libraries import LIBRARIES, ROOT, environment, surroundings


def main(folder: str, *wanted: str) -> int:
    """Do what the command line asks for."""
    where = Path(folder).resolve()
    if "--page" in wanted:
        import page

        page.write(where)
        return 0
    if "--told" in wanted:
        import told

        return told.run(where)
    clause: tuple[str, ...] = ()
    if "--clause" in wanted:
        at = wanted.index("--clause")
        wanted, clause = wanted[:at], wanted[at + 1 :]
    (where / "found").mkdir(parents=True, exist_ok=True)
    for library in wanted or LIBRARIES:
        python = environment(where, library)
        lines = where / "found" / f"{library}.jsonl"
        script = Path(__file__).with_name("examine.py")
        subprocess.run([python, script, library, lines, *clause], env=surroundings(), cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
