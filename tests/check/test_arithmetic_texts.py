"""Golden text for the failure of each situation, by a mutant; SUREFOOT_WRITE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot.check.report import text
from surefoot.check.run import check
from surefoot.check.situations import CLAUSES

MUTANTS = Path(__file__).parents[1] / "mutants"
GOLDEN = Path(__file__).parents[1] / "golden" / "check"
WRITE = bool(os.environ.get("SUREFOOT_WRITE_GOLDEN"))

WITNESS = {
    "rule": "one_minus_momentum",
    "changed-lr": "lr_inside_buffer",
    "changed-options": "options_read_once",
    "moved": "keeps_its_own_weights",
    "late": "first_run_of_the_last_parameter",
    "groups-arithmetic": "lr_cached_across_groups",
    "reused": "buffer_is_the_gradient",
    "sizes": "whole_vectors_only",
    "dtypes": "decay_once_per_bucket",
    "long": "buffer_in_single_precision",
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
