"""What passed as right until it was looked for: groups after the first, closures, saving, side effects."""

from __future__ import annotations

import copy
import random
from typing import ClassVar

import pytest
import torch

from surefoot.check import check
from surefoot.check.verdict import DIFFERS


class Plain(torch.optim.Optimizer):
    """The loop of SGD, in parts that the wrong ones below replace."""

    wrapped = torch.no_grad

    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0, foreach=False):
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "foreach": foreach}
        super().__init__(params, self.defaults_of(options))

    def defaults_of(self, options):
        return options

    def step(self, closure=None):
        with self.wrapped():
            return self.steps(closure)

    def steps(self, closure):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.update(group)
        return loss

    def update(self, group):
        for p in group["params"]:
            if p.grad is None:
                continue
            d = p.grad
            if group["weight_decay"] != 0:
                d = d.add(p, alpha=group["weight_decay"])
            if group["momentum"] != 0:
                state = self.state[p]
                state["buffer"] = state["buffer"] * group["momentum"] + d if "buffer" in state else d.clone()
                d = state["buffer"]
            p.add_(d, alpha=-group["lr"])


class InInferenceMode(Plain):
    wrapped = torch.inference_mode


class ClosurePerGroup(Plain):
    def steps(self, closure):
        for group in self.param_groups:
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            self.update(group)
        return None if closure is None else loss


class GradientsOfBefore(Plain):
    def steps(self, closure):
        old = [[p.grad for p in group["params"]] for group in self.param_groups]
        if len(old) == 1:
            return super().steps(closure)
        loss = closure() if closure else None
        for group, grads in zip(self.param_groups, old, strict=True):
            for p, g in zip(group["params"], grads, strict=True):
                p.grad = g
            self.update(group)
        return loss


class LossTimesGroups(Plain):
    def steps(self, closure):
        loss = super().steps(closure)
        return None if loss is None else loss * len(self.param_groups)


class GradientsGone(Plain):
    def steps(self, closure):
        loss = super().steps(closure)
        if closure is not None:
            self.zero_grad()
        return loss


class LoadedByPlace(Plain):
    def state_dict(self):
        saved = super().state_dict()
        return {**saved, "state": dict(enumerate(saved["state"].values()))}


class LoadedBesideTheOld(Plain):
    def load_state_dict(self, state_dict):
        old = dict(self.state)
        super().load_state_dict(state_dict)
        for p, state in old.items():
            self.state.setdefault(p, state)


class CountOfTheFirstGroup(Plain):
    def update(self, group):
        group["count"] = group.get("count", 0) + 1
        lr = group["lr"]
        group["lr"] = lr / group["count"]
        super().update(group)
        group["lr"] = lr

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["count"] = self.param_groups[0].get("count", 0)


class SavingTakesMomentum(Plain):
    def state_dict(self):
        saved = copy.deepcopy(super().state_dict())
        for state in self.state.values():
            state.clear()
        return saved


class LoadingResetsLr(Plain):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["lr"] = group.get("initial_lr", group["lr"])


class LoadingTakesFromTheDict(Plain):
    def state_dict(self):
        return {**super().state_dict(), "version": 2}

    def load_state_dict(self, state_dict):
        state_dict.pop("version")
        super().load_state_dict(state_dict)


class CopySharesState(Plain):
    def update(self, group):
        for p in group["params"]:
            if p.grad is not None:
                p.sub_(group["lr"] * self.state[p].setdefault("sum", torch.zeros_like(p)).add_(p.grad))

    def __deepcopy__(self, memo):
        new = self.__class__([copy.deepcopy(p, memo) for p in self.param_groups[0]["params"]])
        for g, n in zip(self.param_groups, new.param_groups, strict=True):
            n.update({k: v for k, v in g.items() if k != "params"})
        for p, state in self.state.items():
            new.state[copy.deepcopy(p, memo)] = dict(state)
        return new


class CountIsCast(Plain):
    def update(self, group):
        super().update(group)
        for p in group["params"]:
            if p.grad is not None:
                self.state[p].setdefault("t", torch.tensor(0.0)).add_(1)


class ReturnsAtIdleGroup(Plain):
    def steps(self, closure):
        loss = closure() if closure else None
        for group in self.param_groups:
            if all(p.grad is None for p in group["params"]):
                return loss
            self.update(group)
        return loss


class ClearsTheFirstGroup(Plain):
    def zero_grad(self, set_to_none=True):
        for p in self.param_groups[0]["params"]:
            p.grad = None if set_to_none else torch.zeros_like(p)


class ClearsMomentum(Plain):
    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)
        for state in self.state.values():
            state["buffer"] = torch.zeros_like(state["buffer"])


class TensorOfTheFirstGroup(Plain):
    def update(self, group):
        lr = group["lr"]
        if torch.is_tensor(lr):
            group["lr"] = self.param_groups[0]["lr"]
        super().update(group)
        group["lr"] = lr


class StopsAtEmptyGroup(Plain):
    def update(self, group):
        assert group["params"][0].device.type == "cpu"
        super().update(group)


class ForeachOfTheLastGroup(Plain):
    def update(self, group):
        super().update(
            {**group, "momentum": self.param_groups[-1]["momentum"]} if group["foreach"] else group
        )


class DefaultsOfAll(Plain):
    shared: ClassVar[dict] = {}

    def defaults_of(self, options):
        self.shared.update(options)
        return self.shared


class TrainedFromTheStart(Plain):
    def update(self, group):
        if "trained" not in group:
            group["trained"] = [p.requires_grad for p in group["params"]]
        trained = [p for p, does in zip(group["params"], group["trained"], strict=True) if does]
        super().update({**group, "params": trained})


class DecaysInto64Bits(Plain):
    def update(self, group):
        for p in group["params"]:
            if p.grad is not None:
                g = p.grad.double()
                p.sub_((group["lr"] * g.add_(p, alpha=group["weight_decay"])).to(p.dtype))


class Seeds(Plain):
    def steps(self, closure):
        torch.manual_seed(0)
        return super().steps(closure)


class SeedsPython(Plain):
    def steps(self, closure):
        random.seed(0)
        return super().steps(closure)


class OneThread(Plain):
    def steps(self, closure):
        torch.set_num_threads(1)
        return super().steps(closure)


WRONG = {  # class -> the clause that tells, and words of its note or its diagnosis
    InInferenceMode: ("closure-called", "inference mode"),
    ClosurePerGroup: ("closure-once", "no more than once"),
    GradientsOfBefore: ("closure-first", "after step(closure)"),
    LossTimesGroups: ("closure-loss", "step(closure) returns"),
    GradientsGone: ("closure-first", "p.grad is there"),
    LoadedByPlace: ("goes-back", "buffer is left over"),
    LoadedBesideTheOld: ("goes-back", "state[p] of parameter 0: buffer is left over"),
    CountOfTheFirstGroup: ("goes-back", "group 1's count was saved as 2, but is 3 after loading"),
    SavingTakesMomentum: ("goes-back", "state_dict() called"),
    LoadingResetsLr: ("resume", "group 0's lr was saved as 0.125, but is 0.25 after loading"),
    LoadingTakesFromTheDict: ("goes-back", "KeyError: 'version'"),
    CopySharesState: ("deep-copies", "whose copy"),
    CountIsCast: ("load-dtype", "loaded for bfloat16"),
    ReturnsAtIdleGroup: ("gradient-pauses", "the other parameter"),
    ClearsTheFirstGroup: ("zero-grad", "p.grad is None or zero"),
    ClearsMomentum: ("zero-grad", "the state"),
    TensorOfTheFirstGroup: ("tensor-lr", "a tensor lr"),
    StopsAtEmptyGroup: ("takes-parameters", "IndexError"),
    ForeachOfTheLastGroup: ("paths-agree", "foreach"),
    DefaultsOfAll: ("add-group", "the added parameter"),
    TrainedFromTheStart: ("frozen", "unfrozen"),
    DecaysInto64Bits: ("every-dtype", "p.grad after 2 steps, in float64"),
    Seeds: ("nothing-else", "draw the same"),
    SeedsPython: ("nothing-else", "draw the same"),
    OneThread: ("nothing-else", "get_num_threads"),
}
ALIKE = (
    LoadedByPlace,
    CountOfTheFirstGroup,
    SeedsPython,
    ClearsTheFirstGroup,
    GradientsGone,
    LossTimesGroups,
)


@pytest.mark.parametrize(
    "wrong", [pytest.param(w, marks=pytest.mark.slow) if w in ALIKE else w for w in WRONG]
)
def test_it_is_caught(wrong):
    clause, words = WRONG[wrong]
    report = check(wrong, only=[clause])
    assert [v.clause.id for v in report.failures] == [clause]
    verdict = report[clause]
    assert words in f"{verdict.note} {verdict.diagnosis}"


def test_what_they_are_made_from_passes():
    report = check(Plain, only=sorted({clause for clause, _ in WRONG.values()} | {"small-steps"}))
    assert report.ok, str(report)


class Noisy(Plain):
    """Draws from torch's generator, as Langevin dynamics do, and seeds one of its own."""

    def update(self, group):
        super().update(group)
        for p in group["params"]:
            if p.grad is not None:
                p.add_(torch.randn_like(p), alpha=1e-3)
        with torch.random.fork_rng():
            torch.manual_seed(0)


def test_random_numbers_may_be_drawn():
    assert check(Noisy, only=["nothing-else"]).ok


class ByChance(Plain):
    """Rounds to bfloat16 by chance."""

    def update(self, group):
        for p in group["params"]:
            if p.grad is not None and p.dtype == torch.bfloat16:
                bits = (p.float() - group["lr"] * p.grad.float()).view(torch.int32)
                p.copy_(((bits + torch.randint_like(bits, 1 << 16)) & -65536).view(torch.float32))
            elif p.grad is not None:
                p.sub_(group["lr"] * p.grad)


def test_rounding_by_chance_is_no_cutting_off():
    assert check(ByChance, only=["small-steps"]).ok


class ByAngle(torch.optim.Optimizer):
    """Adam with atan2 in place of the quotient, which needs no eps (Everett et al. 2024)."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), hide=False):
        super().__init__(params, {"lr": lr, "betas": betas, "hide": hide})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state |= {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                g = p.grad.clamp(-1, 1) if group["hide"] else p.grad
                state["m"].mul_(b1).add_(g, alpha=1 - b1)
                state["v"].mul_(b2).add_(g * g, alpha=1 - b2)
                p.sub_(group["lr"] * torch.atan2(state["m"], state["v"].sqrt()))


def test_steps_that_are_bounded_hide_nothing_that_their_state_shows():
    assert check(ByAngle, only=["not-finite"])["not-finite"].outcome == DIFFERS
    report = check(ByAngle, options={"hide": True}, only=["not-finite"])
    assert "its gradient was inf" in report["not-finite"].note


class GivesMemoryBack(Plain):
    def update(self, group):
        super().update(group)
        for p in group["params"]:
            if p.grad is not None:
                p.grad.resize_(0)


def test_a_gradient_of_another_size_is_told():
    assert "resizes p.grad" in check(GivesMemoryBack, only=["grad-kept"])["grad-kept"].diagnosis


UNSPEAKABLE = """
import torch

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("it cannot be told")

class Raises(torch.optim.SGD):
    def step(self, closure=None):
        raise Unspeakable
"""


def test_an_exception_that_cannot_be_described_is_an_exception(tmp_path):
    file = tmp_path / "raises.py"
    file.write_text(UNSPEAKABLE)
    assert check(f"{file}:Raises", only=["steps"])["steps"].note == "Unspeakable"


class WithoutNoGrad(Plain):
    wrapped = torch.enable_grad


class Misspelt(Plain):
    def update(self, group):
        group["params"][0].sub_(lr * 1)  # noqa: F821


class OutOfPlace(Plain):
    def update(self, group):
        for p in group["params"]:
            p = p - group["lr"] * p.grad


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (WithoutNoGrad, "Decorate step() with @torch.no_grad()"),
        (Misspelt, 'group["params"][0].sub_(lr * 1)'),
        (OutOfPlace, "with p.sub_(lr * d)"),
    ],
)
def test_a_step_that_does_not_work_is_mended_where_it_is(wrong, words):
    assert words in check(wrong, only=["steps"])["steps"].mend


class ById(Plain):
    def update(self, group):
        for p in group["params"]:
            buffer = self.state[id(p)].setdefault("b", torch.zeros_like(p))
            p.sub_(group["lr"] * buffer.mul_(0.5).add_(p.grad))


def test_state_under_a_number_in_the_place_of_its_parameter_is_told():
    verdict = check(ById, only=["state-in-state", "option-effect"])["state-in-state"]
    assert verdict.failed
    assert verdict.mend == "Keep the state in self.state[p], not in self.state[id(p)]."


class NanInBfloat16(Plain):
    def update(self, group):
        for p in group["params"]:
            p.sub_(group["lr"] * p.grad * (torch.nan if p.dtype == torch.bfloat16 else 1))


class ScratchInGrad(Plain):
    """As MADGRAD: p.grad is worked on in float32, and elsewhere a copy of it."""

    def update(self, group):
        for p in group["params"]:
            p.sub_(p.grad.float().mul_(2 * group["lr"]).to(p.dtype))


class ForgetsAdded(Plain):
    """A group that is added later is never stepped."""

    def defaults_of(self, options):
        self.seen = 0
        return options

    def steps(self, closure):
        self.seen = self.seen or len(self.param_groups)
        for group in self.param_groups[: self.seen]:
            self.update(group)


class StateInInit(Plain):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        for p in self.param_groups[0]["params"]:
            if p.requires_grad:
                self.state[p]["buffer"] = torch.zeros_like(p)

    def update(self, group):
        for p in group["params"]:
            if p.grad is not None:
                p.sub_(group["lr"] * self.state[p]["buffer"].mul_(0.5).add_(p.grad))


def test_a_fault_is_told_where_it_is_and_no_other():
    assert check(NanInBfloat16, only=["small-steps"])["small-steps"].outcome == "not applicable"
    report = check(ScratchInGrad, only=["grad-kept", "every-dtype"])
    assert [v.clause.id for v in report.failures] == ["grad-kept"]
    report = check(ForgetsAdded, only=["add-group", "goes-back"])
    assert [v.clause.id for v in report.failures] == ["add-group"]
    assert check(StateInInit, only=["frozen"])["frozen"].mend.startswith("Create a parameter's state when")


class LeavesThreads(Plain):
    def update(self, group):
        torch.set_num_threads(1 + torch.get_num_threads() % 2)
        raise RuntimeError("not today")


def test_the_threads_of_the_program_that_checks_stay_what_they_are():
    before = torch.get_num_threads()
    check(LeavesThreads, only=["nothing-else", "steps"], sandbox=False)
    assert torch.get_num_threads() == before
