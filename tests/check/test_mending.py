"""How to mend it, where the clause's own advice would be beside the point."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from surefoot.check import check
from surefoot.check.report.words import echoes
from surefoot.errors import InputError

MUTANTS = Path(__file__).parents[1] / "mutants"


class Kept(torch.optim.Optimizer):
    """Options and buffers are attributes, the buffers by position; state is made without a gradient."""

    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.lr, self.momentum, self.buffers = lr, momentum, {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for i, p in enumerate(group["params"]):
                self.state[p].setdefault("seen", 0)
                if p.grad is None:
                    continue
                kept = self.buffers.get(i, torch.zeros_like(p))
                self.buffers[i] = self.momentum * kept + p.grad
                p -= self.lr * self.buffers[i]


class Captured(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
        self.lr = lr

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p -= self.lr * (0 if p.grad is None else p.grad)


class Unmade(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr)

    def step(self, closure=None):
        pass


@pytest.fixture(scope="module")
def kept():
    return check(Kept, only=["options", "state", "no-gradient"])


def test_an_attribute_that_pickling_loses_is_named(kept):
    assert kept["pickles"].got == "AttributeError: 'Kept' object has no attribute 'buffers'"
    assert kept["pickles"].mend.startswith("self.buffers is lost: torch's Optimizer.__getstate__ keeps")


def test_state_by_position_is_not_blamed_on_the_options_of_groups(kept):
    assert "not in a list by position" in kept["group-options"].mend
    assert "the same fault as in group-options." in kept["two-groups"].diagnosis
    assert not check(Captured, only=["group-options"])["group-options"].mend  # the clause says it


def test_state_without_a_gradient_is_made_too_early(kept):
    assert kept["no-gradient"].mend == "In the loop, before creating any state: if p.grad is None: continue."


def test_a_run_that_cannot_be_resumed_is_no_fault_of_the_file(kept):
    assert echoes(kept["checkpoint-file"])
    assert "the same fault as in resume." in kept["checkpoint-file"].diagnosis
    alone = check(Kept, only=["checkpoint-file"])["checkpoint-file"]
    assert "self.state[p]" in alone.mend


def test_an_lr_that_is_not_read_is_told_once():
    found = check(Captured, only=["live-options", "tensor-lr"])
    assert (echoes(found["live-options"]), echoes(found["tensor-lr"])) == (False, True)
    assert not echoes(check(Captured, only=["tensor-lr"])["tensor-lr"])


def test_what_cannot_be_constructed_is_told_with_the_line_and_its_mending():
    found = check(Unmade)
    assert [v.clause.id for v in found.failures] == ["steps"]
    assert found["steps"].diagnosis == "It cannot be constructed."
    assert "super().__init__(params, lr=lr)" in found["steps"].where
    assert "super().__init__(params, dict(lr=lr))" in found["steps"].mend
    assert found["rule"].note.startswith("It cannot be constructed: TypeError: Optimizer.__init__() got")
    with pytest.raises(
        InputError, match=r"cannot be constructed with lr=0\.1: TypeError.* dict\(lr=lr\)\)\.$"
    ):
        check(Unmade, options={"lr": 0.1})


class Named(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        params = list(params)
        if not isinstance(params[0], tuple):
            raise TypeError("Named wants model.named_parameters()")
        super().__init__(params, lr=lr)


def test_who_takes_named_parameters_is_told_how_to_be_examined():
    with pytest.raises(InputError, match="Named takes named parameters") as caught:
        check(Named)
    _, _, told = str(caught.value).partition("such as ")
    space = {"Named": Named}
    exec(told.partition(", and check")[0].replace("): return", "):\n    return"), space)
    assert check(space["make"], only=["steps"]).ok


class Torchs(torch.optim.SGD):
    def load_state_dict(self, state):
        super().load_state_dict(state)


def test_a_loading_that_names_its_argument_otherwise_is_told_the_name():
    assert (
        "def load_state_dict(self, state_dict)"
        in check(Torchs, only=["distributed-checkpoint"])["distributed-checkpoint"].mend
    )


class Writes(torch.optim.SGD):
    def step(self, closure=None):
        for p in (p for group in self.param_groups for p in group["params"] if p.grad is not None):
            p.grad.add_(p.detach())
        return super().step(closure)


def test_who_writes_into_an_expanded_gradient_is_not_told_of_indices():
    report = check(Writes, only=["layouts", "grad-kept"])
    assert report["layouts"].mend == report["grad-kept"].clause.mend


class Marked(torch.optim.Optimizer):
    """As Muon with its own Adam: each group says of which kind it is; the average goes into p.grad."""

    def __init__(self, params, lr=0.1, momentum=0.75):
        given = list(params)
        given = given if isinstance(given[0], dict) else [{"params": given}]
        groups = [{"use_muon": True, **group} for group in given]
        super().__init__(groups, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if group["use_muon"]:
                for p in group["params"]:
                    mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                    mean.lerp_(p.grad, 1 - group["momentum"])
                    p.sub_(group["lr"] * p.grad.lerp_(mean, group["momentum"]))


def test_a_mark_that_an_added_group_lacks_is_named():
    mend = check(Marked, only=["add-group"])["add-group"].mend
    assert mend.startswith("The added group has no 'use_muon': put a default into the dict given to super()")


def test_what_is_written_into_the_gradient_is_recognised_by_an_option_that_is_left_at_its_default():
    verdict = check(Marked, only=["grad-kept"])["grad-kept"]
    assert verdict.diagnosis == "The momentum average is computed in place in p.grad."


class Bounded(torch.optim.SGD):
    """As AdaBound: a list of the groups' learning rates, made once, is walked together with the groups."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.base_lrs = [group["lr"] for group in self.param_groups]

    @torch.no_grad()
    def step(self, closure=None):
        for group, base_lr in zip(self.param_groups, self.base_lrs, strict=False):
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group["lr"] / base_lr * p.grad)


def test_a_group_that_only_a_list_of_init_leaves_out_is_not_blamed_on_return_or_break():
    verdict = check(Bounded, only=["add-group"])["add-group"]
    assert verdict.diagnosis == "This parameter is never stepped: it is where it started."
    assert "zip(self.param_groups, self.base_lrs) ends before it" in verdict.mend
    assert "break" not in verdict.mend


class Whole(torch.optim.Optimizer):
    """As DoG: one step size for all, of all gradients, of which none may be missing."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if group["weight_decay"]:
                for p in group["params"]:
                    p.grad = p.grad.add(p, alpha=group["weight_decay"])
            norm = torch.stack([p.grad.square().sum() for p in group["params"]]).sum().sqrt()
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad / (1 + norm))


def test_an_exception_that_is_told_is_told_once_though_other_options_meet_it_elsewhere():
    report = check(Whole, only=["no-gradient", "goes-back"])
    assert "'NoneType' object has no attribute 'square'" in report["no-gradient"].got
    assert report["goes-back"].diagnosis == "This is the same fault as in no-gradient."


class Logs(torch.optim.SGD):
    """As Ranger21abel: it tells how many parameters it found, by what its loop leaves behind."""

    def step(self, closure=None):
        for group in self.param_groups:
            for j in range(len(group["params"])):
                last = j
            self.found = last + 1
        return super().step(closure)


def test_whatever_an_empty_group_raises_is_not_told_to_be_about_how_params_are_passed():
    verdict = check(Logs, only=["takes-parameters"])["takes-parameters"]
    assert verdict.got.startswith("UnboundLocalError")
    assert verdict.mend.startswith("A group may be empty")


class Ported(torch.optim.SGD):
    """Its groups have no key lr."""

    def __init__(self, params, base_lr=0.1, momentum=0.9, weight_decay=0.0):
        options = {"base_lr": base_lr, "momentum": momentum, "weight_decay": weight_decay}
        torch.optim.Optimizer.__init__(self, params, options)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    b = self.state[p].setdefault("b", torch.zeros_like(p))
                    b.mul_(group["momentum"]).add_(p.grad + group["weight_decay"] * p)
                    p.sub_(self.rate(group) * b)

    def rate(self, group):
        return group["base_lr"]


class Narrowed(Ported):
    """Saves in float16."""

    def state_dict(self):
        saved = super().state_dict()
        saved["state"] = {k: {n: v.half() for n, v in s.items()} for k, s in saved["state"].items()}
        return saved


def test_a_group_without_the_key_that_torch_sets_to_0_is_told_so():
    verdict = check(Ported, only=["distributed-checkpoint"])["distributed-checkpoint"]
    assert verdict.note == "the groups have the key 'lr', which torch sets to 0 for that step"
    assert "under the key 'lr'" in verdict.mend


def test_a_step_that_is_skipped_at_lr_0_is_not_told_to_touch_the_state():
    verdict = check(f"{MUTANTS}/zero_lr_skipped.py:SGD", sandbox=False, only=["distributed-checkpoint"])[
        "distributed-checkpoint"
    ]
    assert verdict.note == "a step with lr 0 and zero gradients makes state"
    assert "Do not skip a step" in verdict.mend


def test_a_state_dict_that_narrows_is_not_told_to_keep_more():
    verdict = check(Narrowed, only=["resume"])["resume"]
    assert verdict.note == "the dtypes of the state's buffers, and those in state_dict()"
    assert "leave each tensor in its own dtype" in verdict.mend


def test_a_parameter_that_goes_by_its_company_is_told_once():
    names = ["gradient-pauses", "late-gradient", "company", "order", "split"]
    report = check(f"{MUTANTS}/steps_counted_per_parameter.py:SGD", sandbox=False, only=names)
    first, *others = report.failures
    assert first.diagnosis.startswith("A parameter is stepped differently with others than alone")
    assert others
    assert {v.diagnosis for v in others} == {f"This is the same fault as in {first.clause.id}."}
