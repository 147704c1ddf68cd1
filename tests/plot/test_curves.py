"""Training curves: what is drawn is what the runs wrote, and runs are named by what differs in them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine

from surefoot.errors import InputError
from surefoot.plot.curves import curves
from surefoot.plot.runs import labels
from surefoot.runs import History, read


def write_run(
    folder: Path, config: str = "", epochs: int = 2, metric: str = "accuracy", **extra: Any
) -> Path:
    """Write a run of 50 steps an epoch, whose loss is 1/step."""
    folder.mkdir()
    records: list[dict[str, Any]] = []
    for step in range(1, 50 * epochs + 1):
        records.append(
            {"kind": "step", "step": step, "epoch": 1 + (step - 1) // 50, "loss": 1 / step, "lr": 0.1}
        )
        if step % 50 == 25:
            records.append(
                {"kind": "valid", "step": step, "epoch": 1, "valid_loss": 2.0, f"valid_{metric}": 0.25}
            )
        if step % 50 == 0:
            end = {
                "kind": "epoch",
                "epoch": step // 50,
                "step": step,
                "train_loss": 0.5,
                "lr": 0.1,
                "seconds": 1,
            }
            records.append(end | {"valid_loss": 50 / step, f"valid_{metric}": 0.9, **extra})
    lines = "".join(json.dumps(r) + "\n" for r in [*records, {"kind": "end", "status": "finished"}])
    (folder / "metrics.jsonl").write_text(lines)
    (folder / "config.toml").write_text(config)
    return folder


def lines(figure: Any, panel: int) -> list[tuple[list[float], list[float]]]:
    return [(list(x.get_xdata()), list(x.get_ydata())) for x in figure.axes[panel].get_lines()]


def test_one_run(tmp_path: Path) -> None:
    figure = curves([write_run(tmp_path / "run")])
    assert [panel.get_ylabel() for panel in figure.axes] == ["loss, on a log scale", "accuracy"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["epoch", "epoch"]
    training, validation = lines(figure, 0)
    assert len(training[0]) == 50  # averaged over two batches each
    assert training[0][0] == pytest.approx(1.5 / 50)
    assert training[1][0] == pytest.approx((1 + 1 / 2) / 2)
    assert validation == ([0.5, 1.0, 1.5, 2.0], [2.0, 1.0, 2.0, 0.5])
    assert lines(figure, 1) == [([0.5, 1.0, 1.5, 2.0], [0.25, 0.9, 0.25, 0.9])]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "training (means of 2 steps)",
        "validation",
    ]
    assert figure.axes[1].get_title(loc="right") == "best 90.00 %, epoch 1"
    assert figure.legends[0].get_title().get_text() == "run"


def test_the_title_says_which_run_it_is_and_how_it_was_trained(tmp_path: Path) -> None:
    common = 'model = "/long/way/net.py:Net"\noptimizer = "sgd"\nmomentum = 0.9\n'
    one, two = (write_run(tmp_path / name, f"{common}lr = {lr}") for name, lr in (("a", 0.04), ("b", 0.1)))

    def said(*runs: Path) -> str:
        return str(curves(runs).legends[0].get_title().get_text())

    assert said(one) == "a: net.py:Net, sgd, lr 0.04, momentum 0.9"
    assert said(one, two) == "net.py:Net, sgd, momentum 0.9"  # what differs is in the legend
    (tmp_path / "x$_$").mkdir()
    assert said(write_run(tmp_path / "x$_$" / ("y" * 200))).startswith("yyy")
    assert " … " in said(tmp_path / "x$_$" / ("y" * 200))


def test_training_accuracy_and_r2_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    figure = curves([write_run(tmp_path / "a", train_accuracy=0.95)])
    assert lines(figure, 1)[0] == ([1.0, 2.0], [0.95, 0.95])
    figure = curves([write_run(tmp_path / "b", metric="r2")])
    assert figure.axes[1].get_ylabel() == "R²"
    assert figure.axes[1].get_title(loc="right") == "best 0.9000, epoch 1"


def test_several_runs_are_named_by_what_differs(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", 'lr = 0.1\nname = "x"\nnesterov = true\n[sgd]\nmomentum = 0.9')
    two = write_run(tmp_path / "two", 'lr = 0.2\nname = "y"\nnesterov = false\n[sgd]\nmomentum = 0.9')
    figure = curves([one, str(two)])
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names == ["lr 0.1, nesterov", "lr 0.2", "training", "validation"]
    assert len(lines(figure, 0)) == 4


def test_what_was_measured_once_is_a_mark_not_a_line_of_no_length(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", "lr = 0.1", epochs=1, train_accuracy=0.8)
    two = write_run(tmp_path / "two", "lr = 0.2", epochs=1, train_accuracy=0.7)
    training = curves([one, two]).axes[1].get_lines()[0]
    assert list(training.get_ydata()) == [0.8]
    assert training.get_marker() == "_"


@pytest.mark.parametrize(
    ("configs", "named"),
    [
        ([{"lr": 1}, {}], ["lr 1", "lr by default"]),
        ([{"seed": 0}, {"seed": 0}], ["run0", "run1"]),
        ([{"lr": 1}, {"lr": 1}, {"lr": 2}], ["run0 (lr 1)", "run1 (lr 1)", "lr 2"]),
        ([{"hidden": [1, 2]}, {"hidden": []}], ["hidden 1 2", "hidden none"]),
        (
            [{"a": 1, "b": 1, "c_d": 1, "e": 1}, {"a": 2, "b": 2, "c_d": 2, "e": 2}],
            ["run0", "run1"],
        ),
        ([{"nesterov": True}, {"nesterov": False}], ["nesterov", "no nesterov"]),
        ([{"lr": 1}], ["run0"]),
        ([{"model": "/long/way/net.py:Net"}, {"model": "mlp"}], ["model net.py:Net", "model mlp"]),
        ([{"data": "/a/x.npz"}, {"data": "/b/x.npz"}], ["run0 (data x.npz)", "run1 (data x.npz)"]),
        ([{"rule": "torch", "lr": 1}, {"rule": "keras", "lr": 1}], ["torch", "keras"]),
        ([{"clip": 1.0}, {}], ["clip 1", "no clip"]),
        ([{"momentum": 0.9}, {"momentum": 0.0}], ["momentum 0.9", "momentum 0"]),
        ([{"lr": 0.123456789}, {"lr": 100.0}], ["lr 0.123456789", "lr 100"]),
        (  # what an optimizer does not have is not said of it, nor taken for a difference
            [
                {"lr": 0.01, "opt": [], "optimizer": "/a/own.py:Mine"},
                {"lr": 0.02, "opt": ["beta=0.8"], "optimizer": "/a/own.py:Mine"},
                {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.0, "dampening": 0.0, "optimizer": "sgd"},
                {"lr": 0.02, "weight_decay": 0.01, "optimizer": "torch.optim:AdamW"},
            ],
            [
                "own.py:Mine, lr 0.01",
                "own.py:Mine, lr 0.02, beta 0.8",
                "sgd, lr 0.02, momentum 0.5",
                "AdamW, lr 0.02, weight decay 0.01",
            ],
        ),
    ],
)
def test_labels(configs: list[dict[str, Any]], named: list[str]) -> None:
    assert labels([f"run{i}" for i in range(len(configs))], configs) == named


def test_a_name_made_of_the_time_tells_less_than_four_settings() -> None:
    settings = [{"a": n, "b": n, "c": n, "e": n} for n in (1, 2)]
    names = ["20261122-182422-mlp-mnist-10k", "20261122-182501-mlp-mnist-10k"]
    assert labels(names, settings) == ["a 1, b 1, c 1, e 1", "a 2, b 2, c 2, e 2"]


def test_epochs_have_whole_ticks(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        figure = curves([write_run(tmp_path / str(epochs), epochs=epochs)])
        FigureCanvasAgg(figure).draw()
        shown = [text.get_text() for text in figure.axes[0].get_xticklabels() if text.get_text()]
        assert {str(n) for n in range(epochs + 1)} <= {*shown}
        assert all(float(text.replace("−", "-")).is_integer() for text in shown)


def test_a_run_that_ends_in_its_first_epoch_is_shown_over_epochs_beside_one_on_the_same_rows(
    tmp_path: Path,
) -> None:
    config = 'data = "mnist-10k"\nbatch_size = 32\nlr = '
    folder = write_run(tmp_path / "run", f"{config}9")
    text = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(text[:25]) + '{"kind": "end", "status": "diverged"}\n')
    figure = curves([folder, write_run(tmp_path / "whole", f"{config}1")])
    assert figure.axes[0].get_xlabel() == "epoch"
    assert max(lines(figure, 0)[0][0]) <= 0.5
    assert [t.get_text() for t in figure.legends[0].get_texts()][:2] == ["lr 9 (diverged)", "lr 1"]


def test_a_run_that_diverged_does_not_flatten_the_others(tmp_path: Path) -> None:
    def run(name: str, losses: list[float], **more: Any) -> History:
        steps = [{"kind": "step", "step": i, "epoch": 1, "loss": y} for i, y in enumerate(losses, 1)]
        return History(name, [*steps, more])

    calm = [2 - i / 100 for i in range(100)]
    wild = run("b", [2.0, 1e9, 1e20, 1e35], kind="end", status="diverged")
    panel = curves([run("a", calm, kind="end", status="finished"), wild]).axes[0]
    assert panel.get_yscale() == "log"
    assert panel.get_ylim()[1] == pytest.approx(200)
    assert panel.get_ylim()[0] > 0.5
    assert curves([wild]).axes[0].get_ylim()[1] > 1e35


def test_a_run_within_its_first_epoch_is_shown_over_steps(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    text = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text(
        "".join(text[:30]) + '{"kind": "st'
    )  # cut off in the middle of a line
    figure = curves([folder, write_run(tmp_path / "whole")])
    assert figure.axes[0].get_xlabel() == "step"
    assert lines(figure, 0)[2][0][-1] > 90


def test_a_run_in_memory(tmp_path: Path) -> None:
    class Run:
        name = "mine"
        folder = None
        records = read(write_run(tmp_path / "run")).records

    assert len(lines(curves([Run()]), 0)) == 2


def test_losses_over_orders_of_magnitude_get_a_logarithmic_axis(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert curves([folder]).axes[0].get_yscale() == "log"
    for word in ("0.5", "2.0"):
        text = (folder / "metrics.jsonl").read_text().replace(f'"valid_loss": {word}', '"valid_loss": 1.0')
        (folder / "metrics.jsonl").write_text(text)
    only = [line for line in text.splitlines() if '"step", "step"' not in line]
    (folder / "metrics.jsonl").write_text("\n".join(only) + "\n")
    assert curves([folder]).axes[0].get_yscale() == "linear"


def test_nan_losses_are_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    text = (folder / "metrics.jsonl").read_text().replace('"valid_loss": 2.0', '"valid_loss": NaN')
    (folder / "metrics.jsonl").write_text(text)
    assert lines(curves([folder]), 0)[1] == ([1.0, 2.0], [1.0, 0.5])


def test_bad_folders(tmp_path: Path) -> None:
    def told(*runs: Path) -> str:
        with pytest.raises(InputError) as caught:
            curves(runs)
        return str(caught.value).replace(str(tmp_path), "DIR")

    empty = tmp_path / "empty"
    empty.mkdir()
    assert told() == "There is no run to plot; give at least one run's folder."
    assert told(tmp_path / "no") == "There is no run folder 'DIR/no'."
    assert told(empty) == "'DIR/empty' is not a run folder: cannot read its metrics.jsonl."
    (empty / "metrics.jsonl").write_text("")
    assert told(empty) == "The run 'empty' has not written a step or an epoch yet."
    (empty / "metrics.jsonl").write_text('{"kind": "epoch"}\n')
    assert told(empty) == "The run 'empty' has not written a step or an epoch yet."
    (empty / "metrics.jsonl").write_text("what?\n{}\n")
    assert told(empty) == "Line 1 of 'DIR/empty/metrics.jsonl' is not a JSON record."
    bad = write_run(tmp_path / "bad", "lr = ")
    assert told(bad).startswith("Cannot read 'DIR/bad/config.toml': ")


def history(name: str, losses: list[float], **more: Any) -> History:
    records = [
        {"kind": "epoch", "epoch": e, "step": 10 * e, "train_loss": loss, "valid_loss": loss, **more}
        for e, loss in enumerate(losses, 1)
    ]
    return History(name, records, {})


@pytest.mark.parametrize("top", [30.0, 1e3, 1e5, 1e9, 1e12, 1e30])
def test_losses_over_many_decades_can_be_read(top: float) -> None:
    figure = curves([history("run", [1.0, top])])
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    labels = [
        t.get_text()
        for t, y in zip(figure.axes[0].get_yticklabels(), figure.axes[0].get_yticks(), strict=True)
        if low <= y <= high
    ]
    assert 3 <= len(labels) <= 12
    assert all(labels)


def test_names_are_no_formulas_and_long_ones_are_shortened() -> None:
    figure = curves([history("a$_$", [1.0]), history("x" * 85, [1.0])])
    figure.canvas.draw()
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[0] == r"a\$_\$"
    assert len(texts[1]) == 48


def test_without_validation_the_legend_has_none() -> None:
    records = [{"kind": "epoch", "epoch": 1, "step": 10, "train_loss": 1.0}]
    (legend,) = curves([History("run", records, {})]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["training"]


def test_a_metric_that_is_never_defined_has_no_panel() -> None:
    assert len(curves([history("run", [1.0, 0.5], valid_r2=None)]).axes) == 1


@pytest.mark.parametrize(
    ("losses", "accuracy", "at_once"),
    [
        ((0.08, 0.04), 0.9757, True),  # labels such as 0.05 and 97.5 %
        ((0.08, 0.04), 0.00992, False),  # 0.975 %
        ((300.0, 100.0), 0.7, True),
        ((300.0, 100.0), None, True),
        ((0.0051, 0.0049), 0.97522, False),  # 0.00505
        ((1e6, 9e5), 0.7, True),  # 0.98, and above the axis 1e6
        ((1e9, 1e-9), None, False),
    ],
)
def test_all_that_is_written_has_its_place(
    losses: tuple[float, float], accuracy: float | None, at_once: bool
) -> None:
    records: list[dict[str, Any]] = [
        {"kind": "epoch", "epoch": i + 1, "step": 10 * (i + 1), "train_loss": loss, "valid_loss": loss}
        | ({} if accuracy is None else {"valid_accuracy": accuracy * (1 - 0.02 * i)})
        for i, loss in enumerate(losses)
    ]
    figure = curves([History("run", records, {})])
    assert isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine) != at_once
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    whole = figure.bbox
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for box in boxes:
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    below = figure.legends[0].get_window_extent(renderer).y0
    assert all(axes.title.get_window_extent(renderer).y1 <= below for axes in figure.axes)
    assert all(box.y1 <= below for box in boxes)
    told = figure.legends[0].get_window_extent(renderer)
    assert whole.x0 <= told.x0 < told.x1 <= whole.x1
    assert told.y1 <= whole.y1


def test_numbers_on_the_axis_of_r2_are_whole(tmp_path: Path) -> None:
    ends = [{"kind": "epoch", "epoch": e, "step": e, "valid_loss": 1.0} for e in (1, 2)]
    figure = curves([History("run", [e | {"valid_r2": -2.3596 - 1e-5 * e["step"]} for e in ends])])
    figure.canvas.draw()
    assert figure.axes[1].yaxis.get_offset_text().get_text() == ""


def test_runs_of_one_name_are_told_by_their_folders(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    same = [write_run(tmp_path / name / "run") for name in "ab"]
    assert [t.get_text() for t in curves(same).legends[0].get_texts()][:2] == ["a/run", "b/run"]


def test_one_point_has_one_tick_and_no_label_above_100_percent(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    records = [
        {"kind": "step", "step": 1, "epoch": 1, "loss": 0.5, "lr": 0.1},
        {"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 0.5, "lr": 0.1, "seconds": 1.0,
         "valid_loss": 0.4, "valid_accuracy": 1.0},
    ]  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    figure = curves([run])
    FigureCanvasAgg(figure).draw()
    assert [*figure.axes[0].get_xticks()] == [1.0]
    said = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert "100 %" in said
    assert all(float(text.removesuffix(" %")) <= 100 for text in said if text)


def test_a_run_that_diverged_does_not_flatten_losses_below_0(tmp_path: Path) -> None:
    runs = []
    for name, losses in (("below", [-0.5, -1.0, -1.5]), ("diverged", [1.0, 1e9, 1e30])):
        records = [
            {"kind": "step", "step": i, "epoch": 1, "loss": loss, "lr": 0.1}
            for i, loss in enumerate(losses, 1)
        ]
        runs.append(History(name, records))
    low, high = curves(runs).axes[0].get_ylim()
    assert -2 < low < -1.5
    assert 1 < high < 2


def test_a_run_that_comes_down_to_0_is_shown_from_its_start() -> None:
    records = [
        {"kind": "step", "step": step, "epoch": 1, "loss": loss, "lr": 0.1}
        for step, loss in enumerate([4096.0, 256.0, 16.0, *[1e-8] * 20, 0.0, 0.0], 1)
    ]
    assert curves([History("run", records)]).axes[0].get_ylim()[1] > 4096
