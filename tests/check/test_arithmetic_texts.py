"""Golden text for the failure of each situation, by a mutant, and which situations show which mutant.

With SUREFOOT_WRITE_GOLDEN=1 in the environment they are written anew; the second with -m slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot.check.arithmetic.examine import examine
from surefoot.check.arithmetic.situations import CLAUSES
from surefoot.check.protocol import Plan
from surefoot.check.report import text
from surefoot.check.run import check
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED

MUTANTS = Path(__file__).parents[1] / "mutants"
CORRECT = Path(__file__).parent / "correct"
GOLDEN = Path(__file__).parents[1] / "golden" / "check"
WRITE = bool(os.environ.get("SUREFOOT_WRITE_GOLDEN"))

CAUGHT = json.loads((GOLDEN / "caught_arithmetic.json").read_text())
# mutants whose rule is none of SGD's on purpose
OTHER_RULES = {
    "complex_squared",
    "count_in_low_precision",
    "global_step_count",
    "half_overwrites_state",
    "later_option_filled_wrong",
    "lr_tensor_written",
    "nan_hidden_in_adam",
    "norm_of_a_shard",
    "steps_counted_per_parameter",
}

WITNESS = {
    "rule": "one_minus_momentum",
    "changed-lr": "lr_inside_buffer",
    "changed-options": "options_read_once",
    "moved": "keeps_its_own_weights",
    "late": "first_run_of_the_last_parameter",
    "groups-arithmetic": "lr_cached_across_groups",
    "twins": "buffer_kept_by_place",
    "reused": "buffer_is_the_gradient",
    "sizes": "whole_vectors_only",
    "dimensions": "convolutions_scaled",
    "dtypes": "decay_once_per_bucket",
    "long": "buffer_in_single_precision",
    "later": "steps_counted_in_a_byte",
}


def test_every_situation_has_a_witness():
    assert set(WITNESS) == set(CLAUSES)


@pytest.mark.parametrize("id", WITNESS)
def test_failure_reads_as_its_golden_text(id, monkeypatch):
    monkeypatch.chdir(MUTANTS)
    decay = "decoupled" if id == "dtypes" else None
    report = check(f"{WITNESS[id]}.py:SGD", "torch", decay=decay, only=[id])
    written = text(replace(report, seconds=0.0, notes=())) + "\n"
    golden = GOLDEN / f"arithmetic-{id}.txt"
    if WRITE:
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


def test_memory_read_before_it_is_written_reads_as_its_golden_text(monkeypatch):
    monkeypatch.chdir(MUTANTS)
    report = check("uninitialised_buffer.py:SGD", "torch", only=["rule"])
    written = text(replace(report, seconds=0.0, notes=())) + "\n"
    golden = GOLDEN / "arithmetic-uninitialised.txt"
    if WRITE:
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")
    program = [sys.executable, "-c", report["rule"].repro]
    assert "should be 0.0, but is nan" in subprocess.run(program, capture_output=True, text=True).stderr


def test_a_decay_that_spares_vectors_reads_as_its_golden_text(monkeypatch):
    monkeypatch.chdir(CORRECT)
    report = check("spares_vectors.py:SGD", only=["rule", "changed-options"])
    written = text(replace(report, seconds=0.0)) + "\n"
    golden = GOLDEN / "arithmetic-spares-vectors.txt"
    if WRITE:
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a mutant may raise in __del__
@pytest.mark.parametrize("name", sorted({p.stem for p in MUTANTS.glob("*.py")} - OTHER_RULES))
def test_the_situations_that_show_a_mutant(name):
    decay = "decoupled" if name == "decay_once_per_bucket" else None
    patient = Here(load(f"{MUTANTS}/{name}.py:SGD"))
    verdicts = examine(patient, Plan(), "torch", decay, explain=False).verdicts
    found = [v.clause.id for v in verdicts if v.outcome == FAILED]
    if WRITE:
        CAUGHT.update({name: found})
        kept = {n: CAUGHT[n] for n in sorted(CAUGHT) if CAUGHT[n]}
        (GOLDEN / "caught_arithmetic.json").write_text(json.dumps(kept, indent=2) + "\n")
    assert found == CAUGHT.get(name, [])
