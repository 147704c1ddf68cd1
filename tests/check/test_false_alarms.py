"""What was once called a fault of an optimizer, and was none: met while surveying real libraries."""

from __future__ import annotations

import time
import types
import warnings
from pathlib import Path

import pytest
import torch

from surefoot.check import check
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED
from surefoot.errors import InputError


class CarefulLoading(torch.optim.SGD):
    """Loads as torch does, and then looks after its own."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group.setdefault("later_option", 0)


def test_an_override_that_loads_by_torchs_own_means_shares_what_torch_shares():
    report = check(CarefulLoading, only=["loaded-apart"])
    assert report["loaded-apart"].outcome == DIFFERS


class Projected(torch.optim.SGD):
    """As SGDP: the step loses its part along w, if it is nearly at right angles to w anyhow."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d, lr = p.grad, group["lr"]
                if torch.cosine_similarity(d.flatten(), p.flatten(), 0).abs() < 0.1 / p.numel() ** 0.5:
                    d = d - (d * p).sum() / (p * p).sum() * p
                p.sub_(lr * d)
        return loss


def test_an_optimizer_that_looks_at_the_whole_tensor_is_not_held_to_a_split_of_it():
    assert check(Projected, only=["split"])["split"].outcome == NOT_APPLICABLE


class SignSGD(torch.optim.SGD):
    """By the sign of the gradient, which for a complex number is its direction."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * torch.sgn(p.grad))
        return loss


def test_steps_by_sign_may_go_back_and_forth_and_take_a_complex_sign():
    report = check(SignSGD, only=["shapes", "complex-parts"])
    assert report["shapes"].outcome == PASSED
    assert report["complex-parts"].outcome == DIFFERS


class BySize(torch.optim.SGD):
    """As RMSprop in optax: of a complex gradient the square of its size is averaged."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                s, square = self.state[p], self.square(p.grad)
                v = s["v"] = 0.9 * s["v"] + 0.1 * square if s else square  # so a first step is of length lr
                p.sub_(group["lr"] * p.grad / (v.sqrt() + 1e-3))
        return loss

    def square(self, grad):
        return grad * grad.conj()


def test_the_square_of_a_complex_gradient_may_be_that_of_its_size():
    class Squared(BySize):
        def square(self, grad):
            return grad * grad

    assert (
        "a complex gradient's size, |g|, as in optax"
        in check(BySize, only=["complex-parts"])["complex-parts"].note
    )
    assert check(BySize, only=["complex-parts"])["complex-parts"].outcome == DIFFERS
    assert check(Squared, only=["complex-parts"])["complex-parts"].outcome == "failed"


class Many(torch.optim.SGD):
    """SGD that decides a switch at its first step, keeps more in low precision, steps in training mode."""

    def __init__(self, params, lr=0.1, momentum=0.0, fast=None):
        super().__init__(params, lr=lr, momentum=momentum)
        for group in self.param_groups:
            group["fast"] = fast
        if fast is not None:
            warnings.warn("fast is deprecated.", DeprecationWarning, stacklevel=2)
        self.training = False

    def train(self):
        self.training = True

    def step(self, closure=None):
        if not self.training:
            raise Exception("Call train() first.")
        for group in self.param_groups:
            group["fast"] = False if group["fast"] is None else group["fast"]
            for p in group["params"]:
                if p.grad is not None:
                    low = p.dtype in (torch.float16, torch.bfloat16)
                    self.state[p]["compensation"] = torch.zeros_like(p) if low else None
        return super().step(closure)


def test_what_is_decided_at_the_first_step_and_kept_in_low_precision_is_no_fault():
    ids = ["steps", "nothing-else", "dtype-state", "no-warnings"]
    assert [check(Many, only=ids)[id].outcome for id in ids] == [PASSED] * 4


class Matrices(torch.optim.Optimizer):
    """As Muon: large matrices by momentum, small ones without; and foreach, where it is asked for."""

    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                d = p.grad
                if p.dim() == 2 and min(p.shape) >= 4:
                    d = self.state[p]["buffer"] = group["momentum"] * self.state[p].get("buffer", 0) + d
                p.sub_(group["lr"] * d)
        return loss


def test_an_option_for_large_matrices_alone_has_an_effect():
    report = check(Matrices, only=["option-effect", "live-options"])
    assert report.ok
    assert report["option-effect"].outcome == PASSED


class ThreeBetas(torch.optim.Optimizer):
    """As Adan: three betas; as D-Adaptation: one lr for all; as MADGRAD: one count of steps."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.92, 0.99)):
        if not all(0 <= x < 1 for x in betas) or lr < 0:
            raise ValueError(f"Invalid lr or betas: {lr}, {betas}")
        super().__init__(params, {"lr": lr, "betas": betas})
        self.state["count"] = 0

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        if len({group["lr"] for group in self.param_groups}) > 1:
            raise RuntimeError("Setting different lr values in different parameter groups is not supported")
        self.state["count"] += 1
        for group in self.param_groups:
            a, b, c = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                old = self.state[p].get("mean", torch.zeros_like(p))
                self.state[p]["mean"] = a * a * b * old + c * p.grad
                p.sub_(group["lr"] / self.state["count"] * self.state[p]["mean"])
        return loss


def test_three_betas_one_lr_for_all_and_one_count_of_steps():
    ids = [
        "steps",
        "refuses-values",
        "option-effect",
        "group-options",
        "live-options",
        "two-groups",
        "add-group",
    ]
    report = check(ThreeBetas, only=[*ids, "arithmetic"])
    assert report.ok, str(report)
    assert report["add-group"].outcome == DIFFERS
    assert report["two-groups"].outcome == NOT_APPLICABLE


class Patient(torch.optim.SGD):
    """As RAdam: the first steps only gather; they move nothing."""

    def step(self, closure=None):
        waiting = self.state.setdefault("waited", 0) < 4
        self.state["waited"] += 1
        return None if waiting else super().step(closure)


def test_an_optimizer_that_waits_before_its_first_move_is_examined_all_the_same():
    report = check(Patient, only=["steps", "shapes", "version-moves"])
    assert [v.outcome for v in report.verdicts] == [PASSED] * 3


class TwoNumbers(torch.optim.Optimizer):
    """As torch-optimi's Adam: takes betas, and keeps beta1 and beta2 in its groups."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.99), eps=1e-8):
        if lr < 0 or eps < 0 or not all(0 <= x < 1 for x in betas):
            raise ValueError(f"Invalid lr, betas or eps: {lr}, {betas}, {eps}")
        super().__init__(params, {"lr": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            a, b = group["beta1"], group["beta2"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p] or {"step": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                s["step"] += 1
                s["m"] = a * s["m"] + (1 - a) * p.grad
                s["v"] = b * s["v"] + (1 - b) * p.grad**2
                m, v = s["m"] / (1 - a ** s["step"]), s["v"] / (1 - b ** s["step"])
                p.sub_(group["lr"] * m / (v.sqrt() + group["eps"]))
                self.state[p] = s
        return loss


def test_an_option_that_the_groups_do_not_have_is_not_changed_on_the_way():
    report = check(TwoNumbers, "adam", only=["rule", "changed-lr", "changed-options", "live-options"])
    assert report.ok, str(report)
    assert report["changed-options"].outcome == PASSED  # of eps, which its groups have


class Lion(torch.optim.Optimizer):
    """By the sign of an average; what waits before its first move is not that."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.99)):
        if lr < 0 or not all(0 <= x < 1 for x in betas):
            raise ValueError(f"Invalid lr or betas: {lr}, {betas}")
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            a, b = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(group["lr"] * torch.sign(a * m + (1 - a) * p.grad))
                m.lerp_(p.grad, 1 - b)
        return loss


def test_nan_is_hidden_by_a_sign_and_shown_by_who_waits_before_the_first_move():
    sign = check(Lion, only=["not-finite"])["not-finite"]
    assert (sign.outcome, sign.note) == (
        DIFFERS,
        "its steps depend on a gradient's sign, not its size, and sign(nan) is 0",
    )
    assert check(Patient, only=["not-finite"])["not-finite"].outcome == PASSED


@pytest.mark.parametrize("beta", [0.5, 0.95, 0.965, 0.99, 0.999])
def test_the_sign_of_a_mean_is_a_sign_however_slow_the_mean(beta):
    class Signum(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1, beta=beta):
            super().__init__(params, {"lr": lr, "beta": beta})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in (p for p in group["params"] if p.grad is not None):
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    p.sub_(group["lr"] * m.lerp_(p.grad, 1 - group["beta"]).sign())

    assert check(Signum, only=["not-finite"])["not-finite"].outcome == DIFFERS


class Taking(torch.optim.SGD):
    """As HeavyBall: takes the gradients away after the step."""

    def step(self, closure=None):
        loss = super().step(closure)
        self.zero_grad()
        return loss


def test_an_optimizer_that_takes_gradients_away_is_told_just_that():
    report = check(
        Taking, options={"foreach": False, "fused": False}, only=["gradients", "tensors", "zero-grad"]
    )
    assert [v.clause.id for v in report.failures] == ["grad-kept"]
    assert report["grad-kept"].diagnosis == "step() sets p.grad to None; that is zero_grad()'s job."


class AtRandom(torch.optim.SGD):
    """As Gravity, whose velocity starts at random."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                if "velocity" not in self.state[p]:
                    self.state[p]["velocity"] = torch.randn_like(p)
                p.sub_(group["lr"] * self.state[p]["velocity"].mul_(0.5).add_(p.grad))


def test_what_draws_random_numbers_is_not_held_against_another_run():
    report = check(AtRandom, only=["options", "gradients", "state", "tensors", "numerics", "hooks"])
    assert not {v.clause.id for v in report.failures} - {"sparse", "option-effect"}, str(report)
    assert report["resume"].note == "it draws random numbers, so two runs differ"
    assert report["deterministic"].outcome == report["grad-kept"].outcome == PASSED


class FromNothing(torch.optim.SGD):
    """As D-Adaptation: the step size is found, from next to nothing."""

    def __init__(self, params, lr=1.0, momentum=0.0):
        super().__init__(params, lr=lr * 4e-6, momentum=momentum)


def test_steps_too_small_to_see_are_no_failure():
    report = check(FromNothing, only=["option-effect", "group-options", "live-options", "shapes"])
    assert report.ok
    assert report["shapes"].note == "its first steps are too small to show anything here"


class LowerBound(torch.optim.Optimizer):
    """As GrokFastAdamW: eps is a lower bound, which a small one never is."""

    def __init__(self, params, lr=0.1, eps=1e-8):
        super().__init__(params, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group["lr"] * p.grad / p.grad.abs().clamp_min(group["eps"]))


def test_a_lower_bound_has_an_effect_if_it_is_large():
    assert check(LowerBound, only=["option-effect"])["option-effect"].outcome == PASSED


def test_a_differentiable_step_is_not_asked_of_leaves():
    report = check(torch.optim.SGD, options={"differentiable": True}, only=["steps", "closure"])
    assert report.ok
    assert report["steps"].note.startswith("with differentiable=True")


class Corrected(torch.optim.Optimizer):
    """A corrected mean of gradients, without an option for it: RAdam begins so, and goes on otherwise."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                state["step"] = state.get("step", 0) + 1
                state["mean"] = 0.9 * state.get("mean", torch.zeros_like(p)) + 0.1 * p.grad
                p.sub_(group["lr"] / (1 - 0.9 ** state["step"]) * state["mean"])


def test_a_rule_that_only_begins_like_it_is_not_guessed():
    report = check(Corrected, only=["arithmetic"])
    assert [v.outcome for v in report.verdicts] == [NOT_APPLICABLE]
    assert check(Corrected, "radam", only=["long"])["long"].outcome == "failed"


class Loud(torch.optim.SGD):
    """As Shampoo, whose decomposition refuses NaN."""

    def step(self, closure=None):
        for group in self.param_groups:
            if not all(p.grad.isfinite().all() for p in group["params"]):
                raise ArithmeticError("a gradient is not finite")
        return super().step(closure)


def test_an_exception_hides_no_nan():
    verdict = check(Loud, only=["not-finite"])["not-finite"]
    assert (verdict.outcome, verdict.note) == (
        NOT_APPLICABLE,
        "it rejects this itself: ArithmeticError: a gradient is not finite",
    )


class InWords(torch.optim.SGD):
    """Options whose values are words."""

    def __init__(self, params, lr=0.1, momentum=0.0, maximize="no", lr_decay="none"):
        if lr_decay not in ("none", "sqrt"):
            raise ValueError(f"lr_decay={lr_decay!r} must be none or sqrt")
        super().__init__(params, lr=lr, momentum=momentum, maximize=maximize == "yes")
        for group in self.param_groups:
            group["lr_decay"] = lr_decay


def test_an_option_whose_value_is_a_word_is_not_tried_with_another_kind():
    report = check(InWords, only=["options", "refuses-values"])
    assert not {v.clause.id for v in report.failures} - {"refuses-values"}, str(report)
    assert "lr_decay" not in str(report)
    assert report["option-effect"].outcome == PASSED


class Lazy(torch.optim.SGD):
    """As SparseAdam: a row without a gradient rests, and is not even decayed."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                before = p.detach().clone()
                sparse = p.grad.is_sparse
                rows = p.grad.coalesce().indices()[0] if sparse else None
                p.grad = p.grad.to_dense()
                super().step(closure)
                if sparse:
                    rest = torch.ones(len(p), dtype=torch.bool).index_fill_(0, rows, False)
                    p.data[rest] = before[rest]


class DropsMomentum(torch.optim.SGD):
    """Sparse gradients are stepped at once, whatever the momentum."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None and p.grad.is_sparse):
                p.add_(p.grad.to_dense(), alpha=-group["lr"])
                p.grad = None
        return super().step(closure)


def test_rows_that_rest_are_another_convention_and_momentum_that_is_dropped_is_a_fault():
    options = {"foreach": False, "fused": False}
    assert check(torch.optim.SGD, options=options, only=["sparse"])["sparse"].outcome == PASSED
    assert check(Lazy, options=options, only=["sparse"])["sparse"].outcome == DIFFERS
    dropped = check(DropsMomentum, options=options, only=["sparse"])["sparse"]
    assert dropped.outcome == "failed"
    assert dropped.options == {"momentum": 0.75}


class Scheduled(torch.optim.Optimizer):
    """A schedule inside, and no bias correction: a late parameter finds it where the others have it."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum, "t": 0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr = group["lr"] / (1 + group["t"])
            group["t"] += 1
            for p in (p for p in group["params"] if p.grad is not None):
                b = self.state[p].setdefault("b", torch.zeros_like(p))
                p.sub_(lr * b.mul_(group["momentum"]).add_(p.grad))


def test_a_count_shared_by_a_schedule_is_not_called_a_bias_correction():
    verdict = check(Scheduled, only=["late-gradient"])["late-gradient"]
    assert verdict.outcome == DIFFERS
    assert "starts at the others' count" in verdict.note
    assert "such as bias correction or a built-in schedule" in verdict.note


class Homemade:
    """No torch.optim.Optimizer: neither state nor param_groups."""

    def __init__(self, params, lr=0.1, beta=0.9):
        self.params, self.lr, self.beta = list(params), lr, beta
        self.v = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.params, self.v, strict=True):
            v.mul_(self.beta).add_(p.grad, alpha=1 - self.beta)
            p.sub_(self.lr * v)


def test_a_class_without_torchs_base_is_held_to_its_arithmetic():
    report = check(Homemade, only=["arithmetic", "is-optimizer", "live-options"])
    assert report.rule == "ema"
    assert report["rule"].outcome == report["moved"].outcome == PASSED
    assert report["is-optimizer"].outcome == "failed"
    assert report["changed-lr"].outcome == report["live-options"].outcome == NOT_APPLICABLE
    assert report["live-options"].note == "needs a torch.optim.Optimizer: it has no param_groups"


class Wrapper:
    def __init__(self, optimizer, k=5):
        self.optimizer, self.param_groups, self.k = optimizer, optimizer.param_groups, k

    def step(self, closure=None):
        self.optimizer.step(closure)


class OfModel(torch.optim.SGD):
    def __init__(self, model, lr=0.1):
        super().__init__(model.parameters(), lr=lr)


@pytest.mark.parametrize(
    ("made", "what", "function"),
    [
        (Wrapper, "an optimizer", "def make(params): return Wrapper(torch.optim.SGD(params))"),
        (
            OfModel,
            "a model",
            "def make(params): return OfModel(types.SimpleNamespace(parameters=lambda: params))",
        ),
    ],
)
def test_what_is_made_of_something_else_than_parameters_is_told_how_to_be_examined(made, what, function):
    with pytest.raises(InputError) as refused:
        check(made)
    assert str(refused.value).startswith(f"{made.__name__} takes {what}, not parameters: it reads .")
    assert function in str(refused.value)
    names = {"torch": torch, "types": types, made.__name__: made}
    exec(function.replace(": return", ":\n    return", 1), names)  # and that function can be examined
    assert check(names["make"], only=["rule", "steps"]).ok


class Centralised(torch.optim.SGD):
    """Takes the mean of each row off the gradient of a matrix."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad - p.grad.mean(-1, keepdim=True) if p.ndim > 1 else p.grad
                    p.sub_(group["lr"] * g)
        return loss


def test_a_mean_over_a_complex_matrix_is_none_over_parts():
    assert check(Centralised, only=["complex-parts"])["complex-parts"].outcome == PASSED


def test_a_norm_of_a_complex_tensor_is_that_of_all_its_parts():
    class Normed(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad * (p.norm() / p.grad.norm()))

    assert check(Normed, only=["complex-parts"])["complex-parts"].outcome == PASSED


class InList(torch.optim.SGD):
    """Keeps its buffer in a list, which torch's own load_state_dict hands on as it is."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    (buffer,) = self.state[p].setdefault("buffer", [torch.zeros_like(p)])
                    p.add_(buffer.mul_(group["momentum"]).add_(p.grad), alpha=-group["lr"])
        return loss


class InDict(InList):
    """The same in a dict."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    held = self.state[p].setdefault("held", {"buffer": torch.zeros_like(p)})
                    p.add_(held["buffer"].mul_(group["momentum"]).add_(p.grad), alpha=-group["lr"])
        return loss


@pytest.mark.parametrize("kind", [InList, InDict])
def test_state_within_lists_and_dicts_is_seen_to_be_shared(kind):
    report = check(kind, only=["loaded-apart", "load-dtype"])
    assert report["loaded-apart"].outcome == DIFFERS
    assert report["load-dtype"].outcome == PASSED


class Positions(torch.optim.Optimizer):
    """Polyak's heavy ball, from the positions themselves."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                now, before = p.clone(), self.state[p].get("before", p)
                d = p.grad + group["weight_decay"] * p
                p.copy_(now - group["lr"] * d + group["momentum"] * (now - before))
                self.state[p]["before"] = now
        return loss


class PositionsWithSwitch(Positions):
    """The same, with an option that it does not use."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, lr, momentum, weight_decay)
        self.defaults["nesterov"] = nesterov
        for group in self.param_groups:
            group.setdefault("nesterov", nesterov)


def test_what_is_moved_from_outside_tells_a_heavy_ball():
    report = check(Positions, only=["arithmetic"])
    assert report.rule == "heavy_ball"
    assert not report.failures
    report = check(PositionsWithSwitch)
    assert report["rule"].outcome == PASSED
    assert {v.clause.id for v in report.failures} == {"option-effect"}


class Nesterov(torch.optim.Optimizer):
    """Nesterov's own form: a point, and from the one before it a point ahead, at which w is."""

    def __init__(self, params, lr=1e-3, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    y = p - group["lr"] * p.grad
                    before = self.state[p].get("y", p.clone())
                    self.state[p]["y"] = y
                    p.copy_((1 + group["momentum"]) * y - group["momentum"] * before)
        return loss


@pytest.mark.parametrize("name", ["Nesterov", "Own"])
def test_nesterov_by_two_points_is_a_convention(name):
    report = check(type(name, (Nesterov,), {}), only=["arithmetic"])
    assert not report.failures
    assert "in its two-point form, where an outside change of w counts as a step" in " ".join(
        str(report).split()
    )
    assert report["moved"].outcome == report["changed-options"].outcome == PASSED


def test_a_look_ahead_is_no_form_of_a_rule_without_one():
    report = check(Nesterov, "torch", only=["rule"])
    assert report["rule"].outcome == FAILED


class Velocity(PositionsWithSwitch):
    """Keras's SGD, that takes nesterov and does nothing with it."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    v = self.state[p].setdefault("v", torch.zeros_like(p))
                    d = p.grad + group["weight_decay"] * p
                    p.add_(v.mul_(group["momentum"]).sub_(group["lr"] * d))
        return loss


def test_an_option_that_does_nothing_hides_no_convention():
    report = check(Velocity, only=["arithmetic"])
    assert report.rule.startswith("keras")
    assert "Nesterov is accepted but never used" in report["rule"].diagnosis
    assert report["changed-lr"].outcome == FAILED
    assert "another convention" not in report["changed-lr"].diagnosis


class Clamped(Positions):
    """torch's SGD, whose step is held to ±10."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad + group["weight_decay"] * p
                if group["momentum"]:
                    state = self.state[p]
                    state["b"] = group["momentum"] * state["b"] + d if "b" in state else d
                    d = state["b"]
                p.sub_(group["lr"] * d.clamp(-10, 10))
        return loss


def test_what_is_held_back_for_large_numbers_alone_is_judged():
    report = check(Clamped, only=["arithmetic"])
    assert report.rule == "torch"
    assert "are they clipped?" in report["rule"].diagnosis


class Master(torch.optim.SGD):
    """Beside half precision it has a copy in float32, taken anew where w was changed, and kept on loading."""

    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, lr=lr, momentum=momentum)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                w = state.setdefault("w", p.to(torch.promote_types(p.dtype, torch.float32), copy=True))
                w.copy_(torch.where(w.to(p.dtype) == p, w, p.to(w.dtype)))
                b = state.setdefault("b", torch.zeros_like(w))
                p.copy_(w.sub_(b.mul_(group["momentum"]).add_(p.grad), alpha=group["lr"]))

    def load_state_dict(self, saved):
        super().load_state_dict(saved)
        for p, kept in zip(self.param_groups[0]["params"], saved["state"].values(), strict=False):
            self.state[p] = {k: v.clone() for k, v in kept.items()}


def test_a_copy_in_single_precision_that_follows_is_no_fault():
    report = check(Master, "torch", only=["moved", "checkpoint-file", "resume"])
    assert [v.outcome for v in report.verdicts] == [PASSED] * 3, str(report)


class Narrow(torch.optim.Optimizer):
    """The momentum of tensors above 4096 elements is kept in float16, or, `scaled`, is only smaller."""

    scaled = False

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    large = p.numel() > 4096
                    dtype = torch.float16 if large and not self.scaled else p.dtype
                    b = self.state[p].setdefault("b", torch.zeros_like(p, dtype=dtype))
                    mu = group["momentum"] * (0.98 if large and self.scaled else 1.0)
                    p.sub_(b.mul_(mu).add_(p.grad), alpha=group["lr"])


def test_a_state_of_16_bits_is_seen_and_a_factor_is_not_called_rounding():
    assert check(Narrow, only=["large"])["large"].outcome == DIFFERS
    scaled = type("Narrow", (Narrow,), {"scaled": True})
    assert check(scaled, only=["large"])["large"].outcome == FAILED


def test_buffers_that_loading_rounds_beside_bfloat16_are_told_and_no_fault():
    file = Path(__file__).parent / "correct" / "radam_in_float32.py"
    verdict = check(f"{file}:RAdam", sandbox=False, only=["checkpoint-file"])["checkpoint-file"]
    assert verdict.outcome == DIFFERS
    assert "rounds the torch.float32 buffers" in verdict.note


class Weighted(torch.optim.Optimizer):
    """As QHAdam of pytorch_optimizer: beside a buffer of the parameter's dtype, a weight in float32."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                weight = self.state[p].setdefault("weight", torch.zeros(1)).mul_(100.1).add_(0.37)
                buffer = self.state[p].setdefault("buffer", torch.zeros_like(p)).mul_(0.5).add_(p.grad)
                p.sub_(group["lr"] * buffer * weight.remainder(1).to(p.dtype))


def test_the_dtype_of_the_buffer_that_loading_rounds_is_told_and_no_others():
    verdict = check(Weighted, only=["checkpoint-file"])["checkpoint-file"]
    assert verdict.note == "for bfloat16 parameters, torch's load_state_dict rounds the torch.float32 buffers"


class Slow(torch.optim.SGD):  # pytorch_optimizer's SpectralSphere, on a busy machine
    steps = 0

    def step(self, closure=None):
        type(self).steps += 1
        time.sleep(0.005)
        return super().step(closure)


def test_slow_steps_are_made_fewer_times_before_their_memory_is_looked_at():
    assert check(Slow, sandbox=False, only=["flat-memory"])["flat-memory"].outcome == PASSED
    assert Slow.steps < 900
