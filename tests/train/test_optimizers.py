from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import surefoot
from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train import optimizers


def params() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(2))]


def sentence(spec: str, **given: Any) -> str:
    with pytest.raises(InputError) as caught:
        optimizers.build(spec, params(), given)
    return str(caught.value)


def test_sgd_and_any_other() -> None:
    sgd = optimizers.build("sgd", params(), {"lr": 0.5, "momentum": 0.9, "nesterov": True})
    assert type(sgd) is SGD
    adam = optimizers.build("torch.optim:AdamW", params(), {"betas": (0.5, 0.75)})
    assert type(adam) is torch.optim.AdamW
    assert adam.param_groups[0]["betas"] == (0.5, 0.75)
    assert optimizers.describe(sgd) == "SGD lr 0.5, momentum 0.9, nesterov"
    assert optimizers.describe(adam) == "AdamW lr 0.001, weight decay 0.01"


def test_nesterov_is_the_default_only_where_it_can_be() -> None:
    assert optimizers.with_defaults("sgd", {})["nesterov"] is True
    assert optimizers.with_defaults("sgd", {"momentum": 0.0})["nesterov"] is False
    assert optimizers.with_defaults("sgd", {"dampening": 0.5})["nesterov"] is False
    assert optimizers.with_defaults("sgd", {"momentum": 0.0, "nesterov": True})["nesterov"] is True


@pytest.mark.parametrize(
    ("spec", "given", "text"),
    [
        ("sgd", {"beta": 1}, "Unknown option 'beta' of SGD; known: "),
        ("sgd", {"momentun": 1}, "Unknown option 'momentun' of SGD; did you mean 'momentum'? Known: "),
        ("torch.optim:Adam", {"momentum": 0.9}, "Unknown option 'momentum' of Adam; known: "),
        ("torch.optim:AdamX", {}, "Unknown optimizer 'AdamX' in torch.optim; did you mean 'Adam'? Known: "),
        ("adm", {}, "Unknown optimizer 'adm'; did you mean 'torch.optim:Adam'?"),
        ("adamw", {}, "Unknown optimizer 'adamw'; did you mean 'torch.optim:AdamW'?"),
        (
            "sdg",
            {},
            "Unknown optimizer 'sdg'; did you mean 'sgd'?",
        ),
        (
            "sgd",
            {"nesterov": True, "lr": 1.0},
            "The optimizer SGD refuses its options: Nesterov momentum requires a momentum",
        ),
        (
            "torch.nn:Linear",
            {},
            "The optimizer 'torch.nn:Linear' must be a class derived from torch's Optimizer.",
        ),
        (
            "torch.optim:Muon",  # over a bias
            {},
            "The optimizer Muon refuses the model's parameters: Muon only supports 2D parameters whereas",
        ),
        ("nowhere.py:MySGD", {}, "There is no file 'nowhere.py' to take the optimizer from."),
    ],
)
def test_what_an_optimizer_cannot_be(spec: str, given: dict[str, Any], text: str) -> None:
    assert sentence(spec, **given).startswith(text)


def test_none_is_offered_that_takes_no_bias() -> None:
    known = sentence("none").split(" known: ")[1].rstrip(".").split(", ")
    offered = [spec for spec in known if spec.startswith("torch.optim:")]
    assert len(offered) == 9
    for spec in offered:
        optimizers.build(spec, params(), {})


def test_a_users_optimizer(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch.optim import SGD\n"
        "class MySGD(SGD):\n"
        "    def __init__(self, params, lr, power):\n"
        "        super().__init__(params, lr=lr * power)\n"
        "class Loose(SGD):\n"
        "    def __init__(self, params, **options):\n"
        "        super().__init__(params, **options)\n",
        encoding="utf-8",
    )
    made = optimizers.build(f"{file}:MySGD", params(), {"lr": 0.5, "power": 2})
    assert made.param_groups[0]["lr"] == 1.0
    assert sentence(f"{file}:MySGD") == "The optimizer MySGD requires lr, power; give it with --lr."
    assert (
        sentence(f"{file}:MySGD", lr=1.0)
        == "The optimizer MySGD requires power; give it with --opt power=VALUE."
    )
    assert sentence(f"{file}:Loose", speed=1) == (
        "The optimizer Loose refuses its options: SGD.__init__() got an unexpected keyword argument 'speed'."
    )


def test_options_are_read_as_literals() -> None:
    assert optimizers.options(["eps = 1e-3", "name=it's", "flag=None", "d=torch.float32", "m=torch.nn"]) == {
        "eps": 1e-3,
        "name": "it's",
        "flag": None,
        "d": torch.float32,
        "m": "torch.nn",
    }
    with pytest.raises(InputError, match=r"weight_decay has its own option: give --weight-decay, not --opt"):
        optimizers.options(["weight_decay=0.1"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"amsgrad": "maybe"}, "The option amsgrad of AdamW must be True or False, not 'maybe'."),
        ({"eps": "small"}, "The option eps of AdamW must be a number such as 1e-08, not 'small'."),
        ({"betas": "foo"}, "The option betas of AdamW must be numbers such as (0.9, 0.999), not 'foo'."),
    ],
)
def test_a_text_in_the_place_of_a_number(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        optimizers.build("torch.optim:AdamW", [torch.zeros(1, requires_grad=True)], given)
    assert str(caught.value) == text


def test_an_option_given_twice() -> None:
    with pytest.raises(InputError, match="The option 'a' is given twice"):
        optimizers.options(["a=1", "a=2"])


def test_tensors_that_nothing_holds_are_told(tmp_path: Path) -> None:
    """They are in no checkpoint; those of a loss are."""
    model, x, y = torch.nn.Linear(2, 2), torch.randn(8, 2), torch.arange(8) % 2
    extra = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(()))]
    loss = torch.nn.CrossEntropyLoss(torch.ones(2))
    optimizers.warn_of_others(SGD([*model.parameters(), loss.weight], lr=0.1), model, loss)  # type: ignore[list-item]

    def go(**options: Any) -> None:
        optimizer = SGD([*model.parameters(), *extra], lr=0.1)
        surefoot.fit(model, (x, y), optimizer=optimizer, epochs=1, progress=False, **options)

    go()  # nothing of it is saved anyway
    said = r"^The optimizer has 2 tensors not in the model or the loss, of shape \(3,\) and others"
    with pytest.warns(UserWarning, match=said):
        go(out=tmp_path / "run")


class Kept(torch.optim.Optimizer):
    """One that keeps its lr where no schedule finds it."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {})
        self.lr = lr


def test_an_optimizer_whose_groups_have_no_lr_is_refused(tmp_path: Path) -> None:
    text = (
        "The optimizer Kept has no 'lr' in its param_groups[0], where schedules change it and runs record it;"
        " let its __init__ call super().__init__(params, {'lr': lr}) and its step use group['lr']."
    )
    with pytest.raises(InputError) as caught:
        surefoot.fit(torch.nn.Linear(1, 1), (torch.ones(4, 1), torch.ones(4, 1)), optimizer=Kept)
    assert str(caught.value) == text
    (tmp_path / "eta.py").write_text(
        "import torch\n\n\nclass Kept(torch.optim.Optimizer):\n"
        "    def __init__(self, params, eta=0.1):\n        super().__init__(params, {'eta': eta})\n"
    )
    assert sentence(f"{tmp_path / 'eta.py'}:Kept") == text


@pytest.mark.parametrize("lr", [float("nan"), float("inf")])
def test_an_lr_that_is_not_finite_is_refused(lr: float) -> None:
    with pytest.raises(InputError, match=rf"The lr of the optimizer SGD is {lr}; expected a finite number"):
        optimizers.over(torch.nn.Linear(1, 1), lambda p: torch.optim.SGD(p, lr=lr))


def test_a_file_without_its_class() -> None:
    with pytest.raises(InputError) as caught:
        optimizers.build("own.py", [], {})
    assert str(caught.value) == "The optimizer 'own.py' names no class; write own.py:Class."
