"""Records are what a list of them would be, in little memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.plot.curves import curves
from surefoot.runs import History
from surefoot.train.folder.records import Records


def of_step(step: int, loss: float | None = 0.5) -> dict[str, Any]:
    return {"kind": "step", "step": step, "epoch": 1 + step // 10, "loss": loss, "lr": 0.1}


STEPS = st.builds(of_step, st.integers(1, 99), st.sampled_from([0.5, None]))
OTHERS = [
    {"kind": "valid", "step": 3, "epoch": 1, "valid_loss": 1.0, "valid_accuracy": None},
    {"kind": "epoch", "epoch": 1, "step": 10, "train_loss": 0.5, "lr": 0.1, "seconds": 0.1},
    {"kind": "step", "step": 4, "epoch": 1, "loss": 0.25, "lr": 0.1, "note": "by hand"},
]


@given(st.lists(st.one_of(STEPS, st.sampled_from(OTHERS))), st.integers(0, 9))
def test_they_are_a_list_of_dicts(listed: list[dict[str, Any]], cut: int) -> None:
    records = Records(listed[:cut])
    records.extend(listed[cut:])
    assert records == listed
    assert len(records) == len(listed)
    assert [records[i] for i in range(-len(listed), len(listed))] == listed * 2
    assert records[1:7:2] == listed[1:7:2]
    assert json.dumps(records.drawn) == json.dumps(listed)
    assert records.steps == [r for r in listed if r["kind"] == "step"]
    with pytest.raises(IndexError):
        records[len(listed)]


@pytest.mark.parametrize("edited", [{"lr": None}, {"step": 1.0}, {"loss": "much"}, {"epoch": None}])
def test_a_line_that_was_edited_is_kept_as_it_is(edited: dict[str, Any]) -> None:
    listed = [of_step(1), of_step(2) | edited, of_step(3)]
    assert Records(listed) == listed


def test_a_step_takes_few_bytes() -> None:
    tracemalloc.start()
    records = Records(map(of_step, range(1, 50_001)))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 50_000 * 40
    assert records.last == 50_000


def test_a_picture_leaves_out_steps_without_a_loss() -> None:
    drawn = Records(of_step(i, None if i <= 3 or i % 3 == 2 else float(i)) for i in range(1, 60_001)).drawn
    assert [record["loss"] for record in drawn[:3]] == [None, 5.0, 8.0]


@pytest.mark.parametrize("epochs", [1, 8, 1000])
def test_a_picture_of_many_steps_is_that_of_all(epochs: int) -> None:
    listed = [of_step(i, 1000 / i) for i in range(1, 60_001)]
    for epoch in range(1, epochs + 1):
        step = epoch * 60_000 // epochs
        listed.append({"kind": "epoch", "epoch": epoch, "step": step, "train_loss": 1.0})
    drawn = Records(listed).drawn
    assert len(drawn) == 20_000 + epochs
    lines = [curves([History("run", r)]).axes[0].get_lines()[0] for r in (listed, drawn)]
    whole, few = (np.asarray(line.get_xydata()) for line in lines)
    assert len(whole) == len(few)
    assert abs(whole - few).max() < 0.01
