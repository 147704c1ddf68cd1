"""identify reads off what an optimizer is, and holds every rule against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.check.identify import identify
from surefoot.cli import main
from surefoot.errors import InputError

CORRECT = Path(__file__).parent / "correct"
MUTANTS = Path(__file__).parents[1] / "mutants"


@given(
    lr=st.sampled_from([0.1, 0.25, 0.5]),
    momentum=st.sampled_from([0.5, 0.75, 0.9]),
    dampening=st.sampled_from([0.0, 0.25, 0.5]),
    nesterov=st.booleans(),
    decay=st.sampled_from([0.0, 0.01, 0.1]),
)
@settings(max_examples=20)
def test_the_hyperparameters_of_torch_are_read_back(lr, momentum, dampening, nesterov, decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": decay, "nesterov": nesterov}
    if not nesterov:
        options["dampening"] = dampening
    found = identify(torch.optim.SGD, options=options)
    assert found.linear
    assert found.rule is not None
    assert found.rule.name == "torch"
    assert float(found["momentum"]) == pytest.approx(momentum)
    assert float(found["dampening"]) == pytest.approx(options.get("dampening", 0))
    assert found["Nesterov"] == ("yes" if nesterov else "no")
    assert found["learning rate"] == "outside the buffer"
    assert found["weight decay"] == "into the gradient, before momentum"
    assert found["w moved from outside"] == "no matter"


@pytest.mark.parametrize(
    ("subject", "options", "rule", "readings"),
    [
        (
            f"{CORRECT}/keras.py:KerasSGD",
            {"momentum": 0.9},
            "keras",
            {
                "learning rate": "inside the buffer",
                "weight decay": "decoupled: w shrinks by γλ before the step",
            },
        ),
        (f"{CORRECT}/ema.py:AverageSGD", {}, "ema", {"average": "yes", "buffer starts as": "0"}),
        (
            f"{MUTANTS}/dampened_first_step.py:SGD",
            {"momentum": 0.75, "dampening": 0.5},
            "mlx",
            {"dampening": "0.5", "buffer starts as": "0"},
        ),
        (
            f"{MUTANTS}/decay_decoupled_after.py:SGD",
            {"momentum": 0.75},
            "torch(decay=after_step)",
            {"weight decay": "w shrinks by γλ after the step"},
        ),
        ("torch.optim:SGD", {}, "torch", {"momentum": "0"}),
        ("torch.optim:Adam", {}, "adam", {}),
        ("torch.optim:AdamW", {}, "adamw", {}),
        ("torch.optim:RMSprop", {"momentum": 0.5}, "rmsprop", {}),
    ],
)
def test_conventions_are_named(subject, options, rule, readings):
    found = identify(subject, options=options, sandbox=False)
    assert found.rule is not None, str(found)
    assert found.rule.name == rule
    assert {k: found[k] for k in readings} == readings
    assert rule not in found.ruled_out


def test_what_is_ruled_out_says_by_which_number():
    found = identify(torch.optim.SGD, options={"lr": 0.25, "momentum": 0.9})
    assert found.ruled_out["keras"] == (
        "with a gradient of 1, then half the lr from step 3, w would be −0.6775 after step 3, but is −0.57625"
    )
    assert found.ruled_out["adam"] == "twice the gradient would not move w twice as far"


def test_a_mistake_is_named():
    options = {"momentum": 0.9, "nesterov": True}
    found = identify(f"{MUTANTS}/nesterov_without_factor.py:SGD", options=options, sandbox=False)
    assert found.rule is None
    assert found.mistake == "Nesterov adds the buffer without its factor, momentum"
    assert found["Nesterov"] == "in no known way"
    assert "follows no known rule, but SGD with a known mistake" in str(found)


def test_the_impulse_response_is_drawn_beside_the_rules():
    found = identify(torch.optim.SGD, options={"lr": 0.5, "momentum": 0.75})
    assert found.impulse[:3] == (1.0, 0.75, 0.5625)
    figure = found.plot()
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].get_lines()}
    assert drawn["SGD"] == list(found.impulse)
    assert drawn["torch"] == pytest.approx(drawn["SGD"])
    assert {"keras", "ema"} <= set(drawn)


def test_what_cannot_be_driven_is_refused():
    with pytest.raises(InputError, match="needs a closure"):
        identify(torch.optim.LBFGS)
    with pytest.raises(InputError, match=r"Muon could not be driven: .*2D"):
        identify(torch.optim.Muon)


def test_the_command(capsys, tmp_path):
    picture = tmp_path / "impulse.png"
    command = ["identify", "torch.optim:SGD", "--option", "momentum=0.9", "--plot", str(picture)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("torch.optim:SGD(lr=0.25, momentum=0.9) follows PyTorch's SGD (torch).\n")
    assert picture.stat().st_size > 10_000
    mutant = f"{MUTANTS}/nesterov_with_wrong_sign.py:SGD"
    assert main(["identify", mutant, "--option", "momentum=0.9", "--option", "nesterov=True", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["mistake"] == "Nesterov subtracts the buffer"
    assert main(["identify", "torch.optim:LBFGS"]) == 2
    assert main(["identify", "torch.optim:SDG"]) == 2
    assert "did you mean 'SGD'" in capsys.readouterr().err


def test_it_displays_itself():
    found = identify(torch.optim.SGD, options={"momentum": 0.9})
    assert "<table>" in found._repr_html_()
