"""Optimizers that the contract once accused, or excused, for a reason of its own: each asked again."""

from __future__ import annotations

import collections
import copy
import re

import pytest
import torch

from surefoot.check import check
from surefoot.check.contract.diagnose import diagnose
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED


class Loop(torch.optim.Optimizer):
    """Plain SGD; those below say what they do otherwise, in `update` mostly."""

    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group["lr"] * self.update(p, p.grad, self.state[p], group))
        return loss

    def update(self, p, grad, state, group):
        return grad


def outcome(cls, id, **how):
    return check(cls, only=[id], **how)[id].outcome


def raised(repro, names=None):
    """What a reproduction, pasted, ends in; the names that its import would make known, by default all."""
    try:
        exec(re.sub("from tests.* import .*", "", repro), dict(names or globals()))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


class Masked(Loop):
    """One draw for each tensor and step, as Magma: three steps often draw alike."""

    def update(self, p, grad, state, group):
        return grad * torch.bernoulli(torch.tensor(0.5))


class Idle(Loop):
    """As SPAM: what it draws decides nothing, as long as its mask takes all."""

    def update(self, p, grad, state, group):
        return grad * (torch.rand_like(p) <= 1)


class MaskedAndForgetful(Masked):
    """Keeps its flag where no pickle has it: torch pickles the defaults, the state and the groups alone."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.flag = 1.0

    def update(self, p, grad, state, group):
        return super().update(p, grad, state, group) * self.flag


def test_whoever_draws_random_numbers_is_not_held_against_another_run_even_where_two_coincide():
    report = check(Masked, only=["resume", "company", "pickles"])
    assert {v.outcome for v in report.verdicts} == {NOT_APPLICABLE}
    assert "draws random numbers" in report["pickles"].note
    assert outcome(Idle, "company") == PASSED


def test_a_copy_that_raises_is_a_fault_of_one_who_draws_random_numbers_too():
    report = check(MaskedAndForgetful, only=["pickles", "deep-copies"])
    assert "no attribute 'flag'" in report["pickles"].note
    assert report["deep-copies"].outcome == FAILED
    assert "no attribute 'flag'" in raised(report["pickles"].repro)


class Switching(Loop):
    """As SWATS: from its third step on it keeps something else."""

    def update(self, p, grad, state, group):
        state["step"] = state.get("step", 0) + 1
        if state["step"] < 3:
            state.setdefault("average", torch.zeros_like(p)).lerp_(grad, 0.5)
            return state["average"]
        return state.setdefault("buffer", torch.zeros_like(p)).mul_(0.5).add_(grad)


class ByRounding(Switching):
    """It keeps it in one dtype alone."""

    def update(self, p, grad, state, group):
        if p.dtype == torch.float64:
            state["only here"] = torch.zeros_like(p)
        return super().update(p, grad, state, group)


class Weighing(Loop):
    """As QHAdam: a number kept in float32, which torch casts when it loads, and an override that loads so."""

    def update(self, p, grad, state, group):
        weight = state.setdefault("weight", torch.zeros((), dtype=torch.float32))
        weight.mul_(0.5).add_(1)
        return grad / weight

    def load_state_dict(self, state_dict):
        super().load_state_dict(copy.copy(state_dict))


class Taking(Weighing):
    """It takes the tensors of the state dict as they are."""

    def update(self, p, grad, state, group):
        return state.setdefault("average", torch.zeros_like(p)).lerp_(grad.float(), 0.5)

    def load_state_dict(self, state_dict):
        for p, kept in zip(self.param_groups[0]["params"], state_dict["state"].values(), strict=True):
            self.state[p] = dict(kept)


def test_dtypes_of_a_loaded_state_are_compared_after_as_many_steps_and_where_both_have_them():
    assert outcome(Switching, "load-dtype") == PASSED
    assert outcome(ByRounding, "load-dtype") == PASSED


def test_what_torchs_own_loading_casts_is_no_fault_of_a_class_that_calls_it():
    report = check(Weighing, only=["load-dtype"])
    assert report["load-dtype"].outcome == DIFFERS
    assert "here 'weight' too" in report["load-dtype"].note


class Nested(Loop):
    """As DASH: blocks within the state, which it does not cast itself."""

    def update(self, p, grad, state, group):
        block = state.setdefault("blocks", [{"average": torch.zeros_like(p)}])[0]
        block["average"] = block["average"] * 0.5 + grad
        return block["average"]

    def load_state_dict(self, state_dict):
        for p, kept in zip(self.param_groups[0]["params"], state_dict["state"].values(), strict=True):
            self.state[p] = {"blocks": [{"average": v["average"] + 0} for v in kept["blocks"]]}


class NestedInPlace(Nested):
    def update(self, p, grad, state, group):
        block = state.setdefault("blocks", [{"average": torch.zeros_like(p)}])[0]
        return block["average"].mul_(0.5).add_(grad)


def test_a_reproduction_keeps_the_branches_of_the_functions_in_it():
    verdict = check(NestedInPlace, only=["load-dtype"])["load-dtype"]
    assert verdict.outcome == FAILED
    assert "if isinstance(v, dict):" in verdict.repro
    assert "AssertionError: dtypes of the state" in raised(verdict.repro)


class Delayed(Loop):
    """As AdaShift: the last gradients wait in a deque; an object of its own counts."""

    class Count:
        pass

    def update(self, p, grad, state, group):
        waiting = state.setdefault("waiting", collections.deque([torch.zeros_like(p)]))
        state.setdefault("count", self.Count())
        waiting.append(grad.clone())
        return waiting.popleft()


class RootsOfProducts(Loop):
    """As Shampoo: the inverse root of g·gᵀ, which is no more than noise where g has not full rank."""

    def update(self, p, grad, state, group):
        if p.shape == (6, 6):
            values, vectors = torch.linalg.eigh((grad @ grad.T).float())
            state["root"] = (vectors * values.clamp(min=1e-12) ** -0.25 @ vectors.T).to(p.dtype)
        return grad


def test_states_are_compared_where_they_can_be():
    assert outcome(Delayed, "dtype-state") == PASSED
    assert outcome(RootsOfProducts, "dtype-state") == PASSED


class Wrapper(Loop):
    """As Lookahead: the state dict holds that of another optimizer."""

    def state_dict(self):
        return {"base": super().state_dict(), "slow": 1}

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict["base"])


class WithNesterov(Wrapper):
    def __init__(self, params, lr=0.1, nesterov=False):
        super().__init__(params, lr)
        self.param_groups[0]["nesterov"] = nesterov


def test_a_state_dict_without_groups_is_not_asked_for_what_an_older_one_lacks():
    report = check(WithNesterov, only=["older-checkpoint"])
    assert report["older-checkpoint"].outcome == NOT_APPLICABLE
    assert "no param_groups" in report["older-checkpoint"].note
    assert diagnose("older-checkpoint", "KeyError: 'param_groups'", None, None, {}) == ""
    assert "lacks, but not maximize" in diagnose("older-checkpoint", "KeyError: 'maximize'", None, None, {})


def test_none_in_an_exception_is_no_missing_tensor_where_it_is_right_or_stands_for_a_number():
    w = torch.ones(1, requires_grad=True)
    w.grad = torch.ones(1)
    sgd = torch.optim.SGD([w], momentum=0.9, nesterov="yes", fused=True)
    with pytest.raises(TypeError) as switch:
        sgd.step()
    with pytest.raises(TypeError) as number:
        torch.ones(1).add(torch.ones(1), alpha=None)
    with pytest.raises(TypeError) as tensor:
        torch.ones(1).add(None)
    told = [diagnose("steps", f"TypeError: {e.value}", None, None, {}) for e in (switch, number, tensor)]
    assert told[:2] == ["", ""]
    assert "is used as a tensor" in told[2]


class Undefined(Loop):
    """As in a first lecture: what it returns was never defined."""

    def step(self, closure=None):
        super().step(closure)
        return result  # noqa: F821


def test_what_cannot_be_asked_beside_an_exception_set_aside_says_so():
    report = check(Undefined, only=["steps", "hooks", "pickles"])
    assert [v.clause.id for v in report.failures] == ["steps"]
    assert {report[id].note for id in ("hooks", "pickles")} == {"every step() raises NameError"}


class Alarm(Exception):
    """An exception of the module's own."""


class Alarmed(Loop):
    """Scales its gradients, and raises after every update."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.mul_(2)
        raise Alarm("after the update")


def alarmed(params, lr=0.1):
    return Alarmed(params, lr)


@pytest.mark.parametrize("subject", [Alarmed, alarmed, lambda params, lr=0.1: Alarmed(params, lr)])
def test_an_exception_of_its_own_is_set_aside_in_the_printed_lines_too(subject):
    report = check(subject, only=["steps", "grad-kept"])
    assert [v.clause.id for v in report.failures] == ["steps", "grad-kept"]
    names = {"Alarmed": Alarmed, "alarmed": alarmed, "make": subject}
    assert raised(report["grad-kept"].repro, names) == "AssertionError: p.grad after step()"


class Third(Loop):
    """As GrokFastAdamW: a third of the lr is what it steps by, and starts from."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr / 3)


def test_an_lr_of_float32_is_compared_as_far_as_float32_goes():
    assert outcome(Third, "tensor-lr") == PASSED


def test_what_is_nought_was_not_scaled_in_place():
    wide, narrow = {"p": [1e-8, 2e-8]}, {"p": [0.0, 0.0]}
    assert diagnose("dtype-state", "the state", wide, narrow, {}) == ""
    assert "3 times" in diagnose("dtype-state", "the state", wide, {"p": [3e-8, 6e-8]}, {})


class ReturnsTheClosure(Loop):
    """`loss = closure`, without the brackets."""

    def step(self, closure=None):
        super().step(closure)
        return closure


def test_a_step_that_returns_the_closure_is_told_so_and_shown():
    verdict = check(ReturnsTheClosure, only=["closure-loss"])["closure-loss"]
    assert verdict.diagnosis == "step(closure) returns the closure itself; write loss = closure()."
    assert "float(loss)" in verdict.repro
    assert "TypeError" in raised(verdict.repro)


class Clipping(Loop):
    """As ClippedAdam: in place, and only what is large."""

    def update(self, p, grad, state, group):
        return grad.clamp_(-10, 10)


class Centring(Loop):
    def update(self, p, grad, state, group):
        return grad.sub_(grad.mean())


class Scaling(Loop):
    def update(self, p, grad, state, group):
        return grad.mul_(0.5)


@pytest.mark.parametrize(
    ("cls", "told"),
    [
        (Clipping, "p.grad is clipped in place to ±10."),
        (Centring, "The mean of p.grad is subtracted from it in place."),
        (Scaling, "p.grad is scaled in place by 0.5."),
    ],
)
def test_a_gradient_that_is_written_to_is_found_and_told_how(cls, told):
    verdict = check(cls, only=["grad-kept"])["grad-kept"]
    assert (verdict.outcome, verdict.diagnosis) == (FAILED, told)


class Matrices(Loop):
    """As SpectralSphere: only its step looks at the shape, and says so."""

    def update(self, p, grad, state, group):
        if p.dim() != 2:
            raise ValueError("Matrices only supports 2D parameters")
        return grad


class Unpacking(Loop):
    """It says nothing: what python says of a tuple is no refusal."""

    def update(self, p, grad, state, group):
        rows, columns = p.shape
        return grad / max(rows, columns)


def test_a_step_that_refuses_vectors_in_words_is_not_held_to_every_shape():
    report = check(Matrices, only=["shapes"])
    assert report["shapes"].outcome == NOT_APPLICABLE
    assert "only supports 2D parameters" in report["shapes"].note
    assert outcome(Unpacking, "shapes") == FAILED


class Norms(Loop):
    """Parameters count for each other where there is no momentum."""

    def step(self, closure=None):
        grads = [p.grad for p in self.param_groups[0]["params"] if p.grad is not None]
        self.norm = sum(float(g.norm()) for g in grads)
        return super().step(closure)

    def update(self, p, grad, state, group):
        return grad if group["momentum"] else grad / self.norm


def test_what_couples_with_some_options_alone_is_not_accused_with_those():
    report = check(Norms, only=["late-gradient"])
    assert report["late-gradient"].outcome == NOT_APPLICABLE
    assert "it couples parameters" in report["late-gradient"].note


class Normalised(Norms):
    """As Ranger21: by the number of gradients, each made as long as the others first."""

    def step(self, closure=None):
        grads = [p.grad for p in self.param_groups[0]["params"] if p.grad is not None]
        self.norm = sum(float(g.any()) for g in grads)
        return Loop.step(self, closure)

    def update(self, p, grad, state, group):
        return grad / grad.norm() / self.norm


def test_coupling_that_shows_beside_a_zero_gradient_alone_is_seen():
    assert outcome(Normalised, "company") == NOT_APPLICABLE


class Counted(Loop):
    """As Ranger21: one count of steps for all, and a step for which nobody has a gradient raises."""

    def step(self, closure=None):
        if all(p.grad is None for group in self.param_groups for p in group["params"]):
            raise ValueError("parameter size is 0")
        self.count = getattr(self, "count", 0) + 1
        return super().step(closure)

    def update(self, p, grad, state, group):
        return grad / self.count


class CountedTwice(Loop):
    """As StableSPAM: a group counts its steps, and the optimizer all of them."""

    def step(self, closure=None):
        self.count = getattr(self, "count", 0) + 1
        for group in self.param_groups:
            group["count"] = group.get("count", 0) + 1
        return super().step(closure)

    def update(self, p, grad, state, group):
        return grad / self.count**0.5 / group["count"]


class Flagged(Counted):
    """A flag, and no count: only the very first step of all is whole."""

    def update(self, p, grad, state, group):
        return grad if self.count == 1 else grad / 2


@pytest.mark.parametrize(
    ("cls", "expected"), [(Counted, DIFFERS), (CountedTwice, DIFFERS), (Flagged, FAILED)]
)
def test_a_count_of_steps_that_parameters_share_is_a_convention_and_a_flag_is_none(
    cls, expected, monkeypatch
):
    monkeypatch.setattr(torch, "allclose", lambda *_, **__: True)  # as a module under test may
    report = check(cls, only=["late-gradient", "add-group"])
    assert {v.outcome for v in report.verdicts} == {expected}


class Waiting(Loop):
    """As AdaShift: its first step is its twentieth."""

    def update(self, p, grad, state, group):
        state["step"] = state.get("step", 0) + 1
        return grad * (state["step"] >= 20)


class Agreeing(Loop):
    """As TRAC: it goes on only where gradients keep their direction."""

    def update(self, p, grad, state, group):
        last = state.get("last", torch.zeros_like(grad))
        state["last"] = grad.clone()
        return grad * bool((last * grad > 0).all())


class Small(Loop):
    """As SaRA: small weights alone are trained."""

    def update(self, p, grad, state, group):
        return grad * (p.abs() < 1e-2)


class Still(Loop):
    """The update is lost."""

    def update(self, p, grad, state, group):
        return grad * 0


@pytest.mark.parametrize(("cls", "when"), [(Waiting, "later"), (Agreeing, "one direction"), (Small, "small")])
def test_an_optimizer_whose_parameters_rest_at_first_is_not_examined_and_said_to_rest(cls, when):
    report = check(cls, only=["steps", "resume"])
    assert {v.outcome for v in report.verdicts} == {NOT_APPLICABLE}
    assert all(v.note.startswith("no parameter moves in its first 9 steps") for v in report.verdicts)
    assert when in report["steps"].note


def test_an_optimizer_whose_parameters_never_move_fails():
    assert outcome(Still, "steps") == FAILED


class Coarse(Loop):
    """As SCION: its steps are formed in bfloat16, where foreach rounds otherwise than the loop does."""

    def __init__(self, params, lr=0.1, foreach=False):
        super().__init__(params, lr)
        for group in self.param_groups:
            group["foreach"] = foreach

    def update(self, p, grad, state, group):
        narrow = grad.bfloat16()
        return narrow * 0.3 if group["foreach"] else (narrow * 0.1) * 3


class Off(Coarse):
    """Nothing is in bfloat16, and foreach is off by as little."""

    def update(self, p, grad, state, group):
        return grad * 0.3 * (1.004 if group["foreach"] else 1.0)


class FarOff(Coarse):
    def update(self, p, grad, state, group):
        return super().update(p, grad, state, group) * (1.05 if group["foreach"] else 1.0)


@pytest.mark.parametrize(("cls", "expected"), [(Coarse, DIFFERS), (Off, FAILED), (FarOff, FAILED)])
def test_paths_that_round_to_bfloat16_may_part_by_its_last_digit(cls, expected):
    assert outcome(cls, "paths-agree") == expected


class Ahead(torch.optim.SGD):
    """Nesterov's step is no option of its own: torch fills in False where a checkpoint has none."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, lr=lr, momentum=momentum, nesterov=momentum > 0)


def test_what_a_constructor_fixes_was_never_an_option_that_a_checkpoint_lacks():
    assert check(Ahead, only=["older-checkpoint"])["older-checkpoint"].outcome == NOT_APPLICABLE
