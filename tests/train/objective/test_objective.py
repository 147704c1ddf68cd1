from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from surefoot.errors import InputError
from surefoot.train import fit
from surefoot.train.objective.losses import LOSSES, Loss
from surefoot.train.objective.objective import Objective, evaluate


def test_the_targets_type_says_what_is_trained_for() -> None:
    classes, measured = torch.tensor([1]), torch.tensor([0.5])
    assert Objective.of(None, classes) == Objective(LOSSES["cross-entropy"], "accuracy")
    assert Objective.of(None, measured) == Objective(LOSSES["squared-error"], "r2")
    assert Objective.of("squared-error", measured).loss is LOSSES["squared-error"]
    with pytest.raises(InputError) as caught:
        Objective.of("cross_entropy", classes)
    assert str(caught.value) == (
        "Unknown loss 'cross_entropy'; did you mean 'cross-entropy'? Known: cross-entropy, squared-error."
    )

    for loss, text in [(nn.MSELoss, "the class MSELoss; create an instance"), (0.5, "0.5")]:
        with pytest.raises(InputError) as caught:
            Objective.of(loss, measured)  # type: ignore[arg-type]
        assert str(caught.value) == f"The loss must be a name or a function of (output, target), not {text}."


def test_loss_and_accuracy_are_those_of_scikit_learn() -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3), torch.randn(50, 4), torch.randint(3, (50,))
    parts = zip(x.split(16), y.split(16), strict=True)  # the last one is smaller
    loss, accuracy, _ = evaluate(model, parts, Objective.of(None, y)).tolist()
    shares = model(x).detach().double().softmax(1).numpy()
    assert loss == pytest.approx(log_loss(y, shares, labels=[0, 1, 2]), rel=1e-6)
    assert accuracy == accuracy_score(y, shares.argmax(1))


@pytest.mark.parametrize("targets", [1, 3])
def test_r2_is_that_of_scikit_learn(targets: int) -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, targets), torch.randn(50, 4), torch.randn(50, targets) + 100
    parts = zip(x.split(16), y.split(16), strict=True)
    loss, r2, _ = evaluate(model, parts, Objective.of(None, y)).tolist()
    output = model(x).detach().double().numpy()
    truth = y.double().numpy()
    assert loss == pytest.approx(((output - truth) ** 2).mean(), rel=1e-6)
    # over all targets together, as is the loss
    expected = 1 - ((truth - output) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()
    assert r2 == pytest.approx(expected, rel=1e-9)
    if targets == 1:
        assert r2 == pytest.approx(r2_score(truth, output), rel=1e-9)


def test_one_output_may_meet_targets_without_a_second_axis() -> None:
    output, target = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0])
    assert LOSSES["squared-error"](output, target) == 2.5  # without broadcasting to (2, 2)
    with pytest.raises(InputError) as caught:
        LOSSES["squared-error"](torch.zeros(2, 3), target)
    assert str(caught.value) == (
        "The model returns shape (2, 3), but the targets have shape (2,); a regression requires as many"
        " outputs as targets."
    )


def test_accuracy_is_a_share_of_the_targets_where_a_row_has_many() -> None:
    torch.manual_seed(0)
    model, x, y = nn.Conv2d(1, 3, 1), torch.randn(20, 1, 5, 4), torch.randint(3, (20, 5, 4))
    _, accuracy, _ = evaluate(model, [(x[:16], y[:16]), (x[16:], y[16:])], Objective.of(None, y)).tolist()
    assert accuracy == accuracy_score(y.reshape(-1), model(x).argmax(1).reshape(-1))


def of_last(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A loss of the user's own, with the classes in the last dimension."""
    return functional.cross_entropy(output.flatten(0, 1), target.flatten())


def test_no_accuracy_where_the_classes_may_be_in_either_dimension() -> None:
    output, target = torch.randn(4, 5, 5), torch.arange(20).reshape(4, 5) % 5
    said = r"^Accuracy is ambiguous for outputs \(n, 5, 5\) with your own loss, .* metric='loss'"
    with pytest.raises(InputError, match=said):
        Objective.of(of_last, target).measure(output, target)
    for loss in (None, nn.CrossEntropyLoss(), partial(functional.cross_entropy, label_smoothing=0.1)):
        right, counted = Objective.of(loss, target).measure(output, target)
        assert (right, counted) == ((output.argmax(1) == target).sum(), 20)
    Objective.of(of_last, target).measure(torch.randn(4, 3, 5), target)  # as classes in dimension 1
    Objective.of(of_last, target, "loss").measure(output, target)


def test_that_is_said_before_training() -> None:
    model, x = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5)), torch.arange(40).reshape(8, 5) % 9
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(InputError, match=r"^Accuracy is ambiguous"):
        fit(model, (x, x % 5), (x, x % 5), loss=of_last, epochs=1, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    run = fit(model, (x, x % 5), (x, x % 5), loss=of_last, metric="loss", epochs=1, progress=False)
    assert run.status == "finished"


def test_class_numbers_may_stand_in_a_column() -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3), torch.randn(50, 4), torch.randint(3, (50,))
    alone = evaluate(model, [(x, y)], Objective.of(None, y))
    assert torch.equal(alone, evaluate(model, [(x, y[:, None])], Objective.of(None, y)))


@pytest.mark.parametrize(
    ("outputs", "target", "text"),
    [
        (
            1,
            (4,),
            (
                "The model returns shape (4, 1), but the targets are class numbers of shape (4,); "
                "accuracy requires an output"
            ),
        ),
        (
            3,
            (4, 3),
            (
                "The model returns shape (4, 3), but the targets are class numbers of shape (4, 3); "
                "accuracy requires"
            ),
        ),
    ],
)
def test_no_accuracy_of_what_are_no_classes(outputs: int, target: tuple[int, ...], text: str) -> None:
    y = torch.zeros(target, dtype=torch.long)
    with pytest.raises(InputError) as caught:
        evaluate(nn.Linear(2, outputs), [(torch.ones(4, 2), y)], Objective(lambda o, y: o.sum(), "accuracy"))
    assert str(caught.value).startswith(text)


def test_no_accuracy_of_several_outputs() -> None:
    class Two(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (super().forward(x), x)  # type: ignore[return-value]

    own = Objective(lambda output, y: functional.cross_entropy(output[0], y), "accuracy")
    with pytest.raises(InputError, match=r"Accuracy requires one tensor, .* the model returns a tuple"):
        evaluate(Two(2, 2), [(torch.ones(4, 2), torch.zeros(4, dtype=torch.long))], own)


def test_dropout_is_off_and_on_again() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    rows = [(torch.ones(8, 2), torch.zeros(8, dtype=torch.long))]
    first = evaluate(model, rows, Objective.of(None, rows[0][1]))
    assert torch.equal(first, evaluate(model, rows, Objective.of(None, rows[0][1])))
    assert model.training


def test_a_loss_is_evaluated_as_the_model_is() -> None:
    class Centred(nn.BatchNorm1d):
        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return functional.cross_entropy(super().forward(output), target)

    loss, rows = Centred(2), [(torch.ones(8, 2), torch.zeros(8, dtype=torch.long))]
    evaluate(nn.Linear(2, 2), rows, Objective.of(loss, rows[0][1]))
    assert loss.training
    assert loss.num_batches_tracked == 0


def test_no_rows() -> None:
    with pytest.raises(InputError, match="The validation data hold no rows"):
        evaluate(nn.Linear(1, 1), [], Objective.of(None, torch.tensor([1.0])))


def test_targets_that_do_not_vary_have_no_r2() -> None:
    rows = [(torch.ones(4, 1), torch.ones(4))]
    _, r2, _ = evaluate(nn.Linear(1, 1), rows, Objective.of(None, rows[0][1])).tolist()
    assert not np.isfinite(r2)


def test_r2_of_targets_far_from_zero() -> None:
    torch.manual_seed(0)
    y = 1e9 + 100 * torch.randn(200, 1, dtype=torch.float64)
    model = nn.Identity()
    _, r2, _ = evaluate(model, [(y[:90] + 50, y[:90]), (y[90:] + 50, y[90:])], Objective.of(None, y)).tolist()
    assert r2 == pytest.approx(r2_score(y, y + 50), rel=1e-9)


def test_r2_of_what_is_no_tensor_of_the_targets_size() -> None:
    y = torch.zeros(4, 2)
    for output, given in (((y, y), "a tuple"), (y[:, :1], "(4, 1)")):
        with pytest.raises(InputError) as caught:
            evaluate(nn.Identity(), [(output, y)], Objective(lambda *_: torch.zeros(()), "r2"))  # type: ignore[list-item]
        assert str(caught.value) == (
            f"R² requires an output for each target, (4, 2); the model returns {given}. With metric='loss'"
            " it is judged by its loss."
        )


def test_a_model_that_fails_is_left_in_its_mode() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError):
        evaluate(model, [(torch.zeros(1, 3), torch.zeros(1))], Objective.of(None, torch.zeros(1)))
    assert model.training


def test_what_a_model_keeps_from_an_evaluation_can_be_trained_with() -> None:
    class Keeps(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.kept = getattr(self, "kept", torch.ones(2))
            return super().forward(x) * self.kept

    model, y = Keeps(2, 2), torch.zeros(3, dtype=torch.int64)
    evaluate(model, [(torch.ones(3, 2), y)], Objective.of(None, y))
    model(torch.ones(3, 2)).sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("loss", "metric"),
    [
        (None, "r2"),
        ("squared-error", "r2"),
        (nn.HuberLoss(), "r2"),
        (functional.l1_loss, "r2"),
        (nn.BCEWithLogitsLoss(), "loss"),  # of logits there is no R²
        (nn.CrossEntropyLoss(), "loss"),  # of shares, as one-hot targets are
        (lambda output, target: (output - target).abs().mean(), "loss"),
    ],
)
def test_measures_are_judged_by_r2_where_outputs_are_guesses_at_them(loss: Loss, metric: str) -> None:
    assert Objective.of(loss, torch.tensor([0.5])).metric == metric


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
@pytest.mark.parametrize("form", [lambda x, y: (x, y), TensorDataset])
@pytest.mark.parametrize(
    "loss", [nn.BCEWithLogitsLoss(), nn.BCELoss(), partial(functional.binary_cross_entropy, reduction="mean")]
)
def test_a_binary_cross_entropy_takes_floats(loss: Loss, form: Any, dtype: torch.dtype) -> None:
    x, y = torch.randn(8, 3), torch.eye(4).repeat(2, 1).to(dtype)
    said = r"^The targets are integers or booleans, but the binary cross entropy .* give y\.float\(\)\.$"
    with pytest.raises(InputError, match=said):
        fit(nn.Linear(3, 4), form(x, y), loss=loss, progress=False)


def test_rows_in_several_classes_are_not_told_to_keep_one() -> None:
    model, x, y = nn.Linear(3, 4), torch.randn(8, 3), torch.ones(8, 4).long()
    with pytest.raises(InputError, match=r"in several classes at once, give y\.float\(\) and loss=torch"):
        fit(model, (x, y), (x, y), progress=False)


def test_a_metric_may_be_chosen() -> None:
    classes, measured = torch.tensor([1]), torch.tensor([0.5])
    assert Objective.of(None, classes, "loss").metric == "loss"
    assert Objective.of(nn.BCELoss(), measured, "r2").metric == "r2"
    with pytest.raises(InputError, match="Unknown metric 'f1'; known: accuracy, loss, r2"):
        Objective.of(None, classes, "f1")
    with pytest.raises(InputError, match="The metric 'r2' does not fit the targets, which are classes"):
        Objective.of(None, classes, "r2")
    with pytest.raises(
        InputError, match="The metric 'accuracy' does not fit the targets, which are measured"
    ):
        Objective.of(None, measured, "accuracy")


def test_the_loss_alone() -> None:
    x, y = torch.randn(10, 4), torch.rand(10, 1)
    found = evaluate(
        nn.Linear(4, 1), [(x[:7], y[:7]), (x[7:], y[7:])], Objective.of(nn.BCEWithLogitsLoss(), y)
    )
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("loss", "ignored"),
    [
        (None, -100),
        (nn.CrossEntropyLoss(ignore_index=9), 9),
        (partial(functional.cross_entropy, ignore_index=9), 9),
    ],
)
def test_targets_that_the_loss_ignores_count_in_neither(loss: Loss | None, ignored: int) -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3), torch.randn(50, 4), torch.randint(3, (50,))
    kept = torch.arange(50) % 3 == 0
    kept[:16] = False  # a batch of nothing
    some = torch.where(kept, y, ignored)
    parts = zip(x.split(16), some.split(16), strict=True)
    got = evaluate(model, parts, Objective.of(loss, y)).tolist()
    assert got == pytest.approx(evaluate(model, [(x[kept], y[kept])], Objective.of(None, y)).tolist())


class Half(nn.Module):
    """Only under autocast do its parts fit together."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.second(self.first(x))
        return output


def test_an_evaluation_is_under_the_autocast_of_training() -> None:
    seen = set()

    def score(outputs: Tensor, targets: Tensor) -> float:
        seen.add(outputs.dtype)
        return float((outputs.argmax(1) == targets).numpy().mean())

    x, y = torch.randn(40, 3), torch.arange(40) % 2
    for form in ((x, y), DataLoader(TensorDataset(x, y), 8)):
        model = Half()
        run = fit(model, form, (x, y), metric=score, precision="bfloat16", epochs=2, progress=False)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            expected = functional.cross_entropy(model(x), y)
        assert run.epochs[-1]["valid_loss"] == pytest.approx(float(expected), rel=1e-6)
    assert seen == {torch.float32}
    with pytest.raises(
        InputError,
        match=r"for model outputs of shape \(n, 2\), the cross entropy expects \(n,\); for",
    ):  # by a try before training
        fit(Half(), (x, y[:, None].repeat(1, 3)), (x, y), precision="bfloat16", progress=False)
