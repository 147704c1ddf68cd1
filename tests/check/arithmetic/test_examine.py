"""Arithmetic: right optimizers pass in every style; wrong ones are caught, told apart and reproduced."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import surefoot
from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.examine import examine
from surefoot.check.arithmetic.situations import CLAUSES, SITUATIONS, played
from surefoot.check.options.words import Words, combinations
from surefoot.check.protocol import Plan, Signature
from surefoot.check.sandbox.sandbox import Sandbox
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, SHARED_COUNT, Verdict
from surefoot.errors import InputError
from surefoot.rules import RULES, get

CORRECT = Path(__file__).parents[1] / "correct"
MUTANTS = Path(__file__).parents[2] / "mutants"
TORCH = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")


def verdicts(subject, rule=None, *, options=None, decay=None, **plan) -> dict[str, Verdict]:
    patient = Here(load(subject), options)
    return {v.clause.id: v for v in examine(patient, Plan(**plan), rule, decay).verdicts}


def outcomes(found: dict[str, Verdict]) -> set[str]:
    return {v.outcome for v in found.values()}


@pytest.mark.parametrize(
    "name", ["loop.py:SGD", "foreach.py:SGD", "functional.py:SGD", "flat.py:SGD", "keras.py:KerasSGD"]
)
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 10))])
def test_correct_optimizers_pass_in_every_style(name, seed):
    found = verdicts(f"{CORRECT}/{name}", seed=seed)
    assert set(found) == set(CLAUSES)
    assert outcomes(found) == {PASSED}


def test_an_exponential_average_is_another_convention_and_no_error():
    found = verdicts(f"{CORRECT}/ema.py:AverageSGD")
    assert found["rule"].outcome == DIFFERS
    assert "mean of gradients" in found["rule"].note
    assert outcomes(found) == {DIFFERS, PASSED}
    assert outcomes(verdicts(f"{CORRECT}/ema.py:AverageSGD", "ema", quick=True)) == {PASSED}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 10))])
def test_the_plain_loops_of_torch_pass(name, seed):
    found = verdicts(getattr(torch.optim, name), seed=seed, quick=seed == 0)
    # NAdam keeps a product in float32, and is as precise as that
    assert {v.clause.id for v in found.values() if v.outcome == DIFFERS} == (
        {"rule"} if name == "NAdam" else set()
    )
    assert outcomes(found) <= {PASSED, DIFFERS}


def test_what_computes_in_float32_is_recognised_and_told_once():
    found = verdicts(f"{CORRECT}/radam_in_float32.py:RAdam")
    assert found["rule"].note == (
        "RAdam, but w shrinks by γλ before the step; it follows "
        "the rule within float32 rounding: something is kept or computed in float32, even for float64"
    )
    assert {id for id, v in found.items() if v.outcome != PASSED} == {"rule"}
    claimed = verdicts(f"{CORRECT}/radam_in_float32.py:RAdam", "radam", decay="decoupled", quick=True)
    assert {id for id, v in claimed.items() if v.outcome != PASSED} == {"rule"}


def test_steps_counted_per_group_are_another_convention_in_every_situation():
    for rule in (None, "adam"):
        found = verdicts(
            f"{CORRECT}/adam_by_group.py:Adam", rule, only=("rule", "late", "groups-arithmetic", "long")
        )
        assert {id: v.outcome for id, v in found.items()} == {
            "rule": PASSED, "late": DIFFERS, "groups-arithmetic": PASSED, "long": DIFFERS
        }  # fmt: skip
        assert found["late"].note == found["long"].note == SHARED_COUNT


class OfMatrices(torch.optim.SGD):
    """SGD whose weight decay reaches matrices only; `decayed` is how."""

    decayed = staticmethod(lambda group, w: group["weight_decay"] * w)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None and p.ndim > 1):
                p.grad.add_(self.decayed(group, p))
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0
        super().step(closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay


@pytest.mark.parametrize(
    ("rule", "given"), [(None, {}), pytest.param("torch", {"weight_decay": 0.1}, marks=pytest.mark.slow)]
)
def test_a_weight_decay_that_spares_vectors_is_another_convention(rule, given):
    found = verdicts(f"{CORRECT}/spares_vectors.py:SGD", rule, options=given)
    assert {id for id, v in found.items() if v.outcome != PASSED} == {"rule"}
    assert found["rule"].outcome == DIFFERS
    assert found["rule"].note.startswith("weight decay applies only to parameters of more than one dimension")


def test_what_is_wrong_in_a_decay_that_spares_vectors_is_found_on_matrices():
    class Upwards(OfMatrices):
        decayed = staticmethod(lambda group, w: -group["weight_decay"] * w)

    options = {"foreach": False, "fused": False, "maximize": False}
    assert verdicts(OfMatrices, "torch", options=options, quick=True)["rule"].outcome == DIFFERS
    found = verdicts(Upwards, "torch", options=options, only=("rule",))["rule"]
    assert "Weight decay has the wrong sign" in found.diagnosis
    assert found.script.splitlines()[0] == "start  w = ((1))"  # a vector would show nothing
    with pytest.raises(AssertionError, match=r"should be 0\.875"):
        exec(found.repro.replace(f"from {Upwards.__module__} import", "#"), {"Upwards": Upwards})


@pytest.mark.parametrize(("convention", "outcome"), [("torch", PASSED), ("keras", DIFFERS), ("ema", PASSED)])
def test_each_convention_of_our_own_is_held_to_its_own_rule(convention, outcome):
    found = verdicts(surefoot.SGD, options={"convention": convention}, quick=True)
    assert found["rule"].outcome == outcome  # Keras has its weight decay elsewhere
    assert {id for id, v in found.items() if v.outcome != PASSED} <= {"rule"}


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"decoupled_weight_decay": True}, None),
        ({"state_dtype": torch.float32}, "within float32 rounding"),
        ({"state_dtype": torch.bfloat16}, "within bfloat16 rounding"),
    ],
)
def test_what_an_option_asks_for_is_no_failure(options, note):
    found = verdicts(surefoot.SGD, options=options)
    assert {id: v.outcome for id, v in found.items() if v.outcome != PASSED} == (
        {"rule": DIFFERS} if note else {}
    )
    assert note is None or note in found["rule"].note


def test_steps_that_cannot_be_made_of_leaves_are_not_judged():
    found = verdicts(torch.optim.SGD, options={"differentiable": True})
    assert outcomes(found) == {NOT_APPLICABLE}
    assert "a step needs non-leaf parameters" in found["rule"].note


class QuasiAdam(torch.optim.Adam):
    """As QHAdam: Adam while betas stay, and by its name another algorithm."""

    def step(self, closure=None):
        for group in self.param_groups:
            first = group.setdefault("first", group["betas"])
            group["betas"] = first
        return super().step(closure)


def test_another_algorithm_that_is_a_known_one_in_plain_steps_may_part_when_options_change():
    found = verdicts(QuasiAdam, only=("rule", "changed-options"))
    assert found["changed-options"].outcome == DIFFERS
    assert "while its options are constant" in found["changed-options"].note
    assert verdicts(QuasiAdam, "adam", only=("changed-options",))["changed-options"].outcome == FAILED


class Breaks(torch.optim.SGD):
    def step(self, closure=None):
        if any(p.dtype == torch.float64 for g in self.param_groups for p in g["params"] if g["momentum"]):
            raise RuntimeError("no momentum in float64")
        return super().step(closure)


def test_the_same_exception_is_told_once():
    found = verdicts(Breaks, "torch", options={"foreach": False, "fused": False})
    told = [v for v in found.values() if v.outcome == FAILED and v.repro]
    assert [v.clause.id for v in told] == ["rule"]
    others = {v.diagnosis for v in found.values() if v.outcome == FAILED and not v.repro}
    assert others == {"The exception was already reported."}


class Resting(torch.optim.Adam):
    """As pytorch_optimizer's RAdam: the first two steps only gather."""

    @torch.no_grad()
    def step(self, closure=None):
        before = [(p, p.clone()) for group in self.param_groups for p in group["params"]]
        super().step(closure)
        for p, old in before:
            if p in self.state and self.state[p]["step"] <= 2:
                p.copy_(old)


def test_what_the_plain_steps_show_already_is_told_once():
    found = verdicts(Resting, "adam")
    assert [id for id, v in found.items() if v.outcome == FAILED and v.repro] == ["rule"]
    assert "Never updated" not in str(found)  # nothing moves at all, whatever its size
    others = {v.diagnosis for v in found.values() if v.outcome == FAILED and not v.repro}
    assert others == {"The plain steps already deviate from the rule."}


class Doubling(torch.optim.SGD):
    """Its fault is a known one without weight decay, and none with."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.grad.mul_(2)
        return super().step(closure)


def test_what_is_half_explained_is_told_once_too():
    found = verdicts(Doubling, "torch", options={"foreach": False, "fused": False}, quick=True)
    assert found["rule"].diagnosis.endswith("This reproduces the failure exactly.")
    assert [id for id, v in found.items() if v.outcome == FAILED and v.repro] == ["rule"]
    assert {v.diagnosis for v in found.values() if not v.repro} == {
        "The plain steps already deviate from the rule."
    }


def test_the_error_of_a_square_is_allowed_for():
    found = verdicts(torch.optim.Adadelta, seed=2, only=("long",))  # acc_delta: the mean of squared steps
    assert outcomes(found) == {PASSED}


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 10))])
def test_surefoot_itself_passes(seed):
    assert outcomes(verdicts(surefoot.SGD, seed=seed)) == {PASSED}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ASGD", "No known rule reproduces its plain steps"),
        ("Rprop", "No known rule reproduces its plain steps"),
        ("Adafactor", "No known rule reproduces its plain steps"),
        ("LBFGS", "needs a closure"),
        ("Muon", "No known rule reproduces its plain steps"),
        (
            "SparseAdam",
            "cannot be run on chosen gradients: RuntimeError: SparseAdam does not support dense",
        ),
    ],
)
def test_what_follows_no_known_rule_is_not_judged(name, why):
    found = verdicts(getattr(torch.optim, name))
    assert outcomes(found) == {NOT_APPLICABLE}
    assert why in found["rule"].note


# mutant → words of its diagnosis
DIAGNOSES = {
    "dampened_first_step": "MLX's SGD: dampened from the first step",
    "dampening_never_applied": "Dampening is accepted but never used",
    "one_minus_momentum": "times 1 − momentum instead of 1 − dampening",
    "nesterov_with_old_buffer": "Nesterov looks ahead with the buffer from before its update",
    "nesterov_without_factor": "Nesterov adds the buffer without its factor",
    "nesterov_stored_in_buffer": "Nesterov's result is stored in the buffer",
    "nesterov_outer_without_decay": "Nesterov's outer term is the gradient without the weight decay",
    "lr_inside_buffer": "The learning rate is multiplied into the buffer, as in Keras",
    "decay_decoupled_before": "but w shrinks by γλ before the step",
    "decay_decoupled_after": "but w shrinks by γλ after the step",
    "decay_without_parameter": "Weight decay adds the coefficient itself, without multiplying it by the "
    "parameter",
    "decay_skipped_without_momentum": "Weight decay is skipped when momentum is 0",
    "maximize_flips_decay": "Maximize flips the sign of the weight decay too",
    "buffer_reset_each_step": "The buffer is zeroed before each step",
    "decay_with_wrong_sign": "Weight decay has the wrong sign",
    "buffer_starts_at_parameter": "The buffer starts as a copy of the parameter",
    "state_never_updated": "The new buffer is used but not stored",
    "nesterov_with_wrong_sign": "Nesterov subtracts the buffer",
    "nesterov_of_chainer": "Dampening is accepted but never used",  # which is true of it, too
    "first_run_of_the_last_parameter": "A group's last parameter decides for all whether a step is the first",
    "first_run_of_all_parameters": "detected only in the first call of step()",
    "first_run_of_the_first_parameter": "detected once, by the first parameter",
    "weight_decay_of_the_first_group": "weight_decay of the constructor, or of the first group, is used",
    "lr_cached_across_groups": "The learning rate of the constructor, or of the first group, is used",
    "buffer_is_the_gradient": "The buffer is the gradient tensor itself",
    "zero_gradient_skipped": "A gradient of zeros is treated as missing",
    "decay_of_the_buffer": "Weight decay multiplies the buffer instead of the parameter",
    "zero_lr_skipped": "Steps with lr 0 are skipped entirely",
    "uninitialised_buffer": "reads memory from torch.empty",
    "momentum_zero_disables_everything": "The buffer restarts at each step, so momentum has no effect",
}
# those that show in one situation alone
ONLY_IN = {
    "decay_skipped_without_momentum": {"rule"},
    "lr_inside_buffer": {"changed-lr"},
    "zero_lr_skipped": {"changed-lr"},
    "first_run_of_the_last_parameter": {"late"},
    "first_run_of_all_parameters": {"late"},
    "first_run_of_the_first_parameter": {"late", "groups-arithmetic", "twins"},
    "weight_decay_of_the_first_group": {"groups-arithmetic"},
    "lr_cached_across_groups": {"groups-arithmetic"},
    "buffer_is_the_gradient": {"reused"},
    "zero_gradient_skipped": {"late"},
}


@pytest.mark.parametrize("name", DIAGNOSES)
def test_each_mutant_is_caught_with_its_diagnosis(name):
    found = verdicts(f"{MUTANTS}/{name}.py:SGD", "torch", quick=True)
    failed = {id for id, v in found.items() if v.outcome == FAILED}
    assert failed == ONLY_IN.get(name, set(found))
    first = next(v for v in found.values() if v.outcome == FAILED)
    assert DIAGNOSES[name] in first.diagnosis
    assert first.expected
    assert first.got
    assert "step" in first.where


@pytest.mark.parametrize("name", ["one_minus_momentum", "nesterov_stored_in_buffer", "lr_inside_buffer"])
def test_the_reproduction_runs_and_fails_without_surefoot(name):
    found = verdicts(f"{MUTANTS}/{name}.py:SGD", "torch", quick=True)
    code = next(v for v in found.values() if v.outcome == FAILED).repro
    assert "surefoot" not in code.replace("surefoot/", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AssertionError: should be" in done.stderr


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("milestone_in_code", 201),
        pytest.param("steps_counted_in_a_byte", 257, marks=pytest.mark.slow),
    ],
)
def test_what_begins_late_shows_in_the_long_run_alone(name, step):
    found = verdicts(f"{MUTANTS}/{name}.py:SGD", "torch")
    assert [id for id, v in found.items() if v.outcome == FAILED] == ["later"]
    assert f"step {step}," in found["later"].where
    assert f"steps 1 to {step}: w.grad = " in found["later"].script  # told in a line
    done = subprocess.run(
        [sys.executable, "-c", found["later"].repro], capture_output=True, text=True, check=False
    )
    assert "AssertionError: should be" in done.stderr


def test_what_begins_within_twenty_steps_is_told_once():
    class Restarted(torch.optim.SGD):
        def step(self, closure=None):
            loss = super().step(closure)
            self.count = getattr(self, "count", 0) + 1
            if self.count == 12:
                self.state.clear()
            return loss

    found = verdicts(Restarted, "torch", only=("long", "later"))
    assert found["long"].outcome == FAILED
    assert found["later"].outcome == NOT_APPLICABLE


def test_decay_applied_once_per_dtype_shows_only_with_several_dtypes():
    found = verdicts(
        f"{MUTANTS}/decay_once_per_bucket.py:SGD", "torch", decay="decoupled", only=("rule", "dtypes")
    )
    assert {id for id, v in found.items() if v.outcome == FAILED} == {"dtypes"}


def test_the_failure_is_told_with_the_rule_in_numbers():
    found = verdicts(f"{MUTANTS}/one_minus_momentum.py:SGD", "torch", only=("rule",))["rule"]
    assert found.expected == "bₜ = μ bₜ₋₁ + gₜ = 0.75·0 + 1 = 1\nwₜ = wₜ₋₁ − γ bₜ = 0 − 1·1 = −1"
    assert found.got == "w = −0.25"
    assert found.where == "step 2, tensor w"
    assert found.options == {"momentum": 0.75}
    assert found.note == (
        "36 of 60 runs deviate from the rule; "
        "the smallest needs momentum, but not dampening, maximize, nesterov or weight_decay"
    )


class Homework(torch.optim.Optimizer):
    """Says nothing by its name; `look` is what Nesterov reads."""

    look = staticmethod(lambda d, b, mu: d + b)  # without its factor

    def __init__(self, params, lr=0.1, momentum=0.0, nesterov=False, foreach=None):
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs momentum")
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                d, mu = self.bare(p.grad), group["momentum"]
                if mu:
                    self.state[p]["b"] = b = mu * self.state[p].get("b", 0) + d
                    d = self.look(d, b, mu) if group["nesterov"] else b
                p.sub_(group["lr"] * d)

    def bare(self, d):
        return d


def test_sgds_options_and_its_plainest_steps_claim_to_be_sgd():
    found = verdicts(Homework, quick=True)
    assert found["rule"].outcome == FAILED
    assert "adds the buffer without its factor" in found["rule"].diagnosis
    why = examine(Here(load(Homework)), Plan()).why
    said = (
        "PyTorch's SGD, by its options, and since it follows that rule with all of them off. If it is "
        "meant to be a different rule"
    )
    assert why.startswith(said)


def test_with_another_option_or_other_plain_steps_it_claims_nothing():
    class Signed(Homework):
        def bare(self, d):
            return d.sign()

    class Scaled(Homework):
        def __init__(self, params, lr=0.1, momentum=0.0, nesterov=False, scaled=True):
            super().__init__(params, lr, momentum, nesterov)

    for other in (Signed, Scaled):
        assert outcomes(verdicts(other)) == {NOT_APPLICABLE}


def test_what_is_claimed_to_be_torch_and_is_keras_fails():
    keras = f"{CORRECT}/keras.py:KerasSGD"
    assert outcomes(verdicts(keras, quick=True)) == {PASSED}
    claimed = verdicts(keras, "torch", decay="decoupled", quick=True)
    assert {id for id, v in claimed.items() if v.outcome == FAILED} == {"changed-lr"}
    assert "Keras's SGD" in claimed["changed-lr"].diagnosis


def test_a_place_of_the_decay_without_a_rule_is_that_of_the_rule_guessed():
    options = {"foreach": False, "fused": False}
    for decay, outcome in (("decoupled", PASSED), ("l2", FAILED)):
        examination = examine(Here(load(torch.optim.AdamW), options), Plan(only=("rule",)), decay=decay)
        assert examination.why == f"AdamW, as guessed, with decay={decay}, as requested."
        assert [v.outcome for v in examination.verdicts] == [outcome]
    assert outcomes(verdicts(torch.optim.Rprop, decay="l2")) == {NOT_APPLICABLE}
    with pytest.raises(InputError, match="decay"):
        verdicts(torch.optim.AdamW, decay="sideways")


def test_a_wrong_place_of_the_decay_is_a_failure_when_a_rule_is_claimed():
    found = verdicts(f"{MUTANTS}/decay_decoupled_before.py:SGD", "torch", only=("rule",))
    assert found["rule"].outcome == FAILED
    found = verdicts(f"{MUTANTS}/decay_decoupled_before.py:SGD", "torch", decay="decoupled", only=("rule",))
    assert found["rule"].outcome == PASSED


def test_the_live_bugs_of_fused_sgd_are_found(fused_leaves_16_bits):
    found = verdicts(torch.optim.SGD, options={"fused": True}, only=("late", "sizes"))
    assert found["late"].outcome == FAILED
    assert "TypeError" in found["late"].got
    assert found["late"].options == {"momentum": 0.75}
    assert "first gradient comes later than another's" in found["late"].diagnosis
    if not fused_leaves_16_bits:
        pytest.skip(f"torch {torch.__version__} is right with 16 bits")
    assert "Never updated: elements" in found["sizes"].diagnosis
    assert found["sizes"].outcome == FAILED
    assert "dtype=torch.bfloat16" in found["sizes"].repro or "dtype=torch.float16" in found["sizes"].repro
    with pytest.raises(AssertionError, match="should be"):
        exec(found["sizes"].repro, {})


def test_unknown_rules_and_decays_are_refused():
    patient = Here(load(torch.optim.SGD))
    with pytest.raises(InputError, match="did you mean 'torch'"):
        examine(patient, Plan(), "tourch")
    with pytest.raises(InputError, match="decay"):
        examine(patient, Plan(), "torch", "sideways")


def test_options_given_stay_and_others_are_combined():
    signature = load(torch.optim.SGD).signature
    words = Words.of(signature, {"lr": 0.1, "nesterov": True, "momentum": 0.9, "foreach": True})
    made = list(combinations(words, {"lr": 0.1, "nesterov": True, "momentum": 0.9, "foreach": True}))
    assert len(made) == 8  # dampening, weight_decay, maximize
    assert all("nesterov" not in m and m["momentum"] == 0.75 for m in made)


@pytest.mark.parametrize("rule", [n for n, r in RULES.items() if r.exact and not r.mistake])
def test_every_situation_can_be_played_by_every_exact_rule(rule):
    options = {
        x.name: x.default for x in get(rule).hypers if x.name in ("momentum", "weight_decay", "nesterov")
    }
    words = Words.of(Signature("X", {"lr": 0.1, **options}), {"lr": 0.1})
    claim = Claim(get(rule), words)
    for situation in SITUATIONS:
        for script in played(situation, words, list(combinations(words, {}))[-1], 0):
            assert len(claim.expected(script).steps) == len(script.steps)


def test_keras_under_the_name_of_sgd_is_the_same_while_lr_is_constant():
    found = verdicts(f"{CORRECT.parents[2]}/examples/keras_momentum.py:SGD")
    assert found["rule"].outcome == DIFFERS
    assert found["rule"].note == (
        "Keras's SGD: classical momentum. "
        "By its name it would be PyTorch's SGD: the same while lr is constant"
    )
    assert outcomes(found) == {DIFFERS, PASSED}


DYING = """
import ctypes, os, time, torch

class Leaves(torch.optim.SGD):
    def step(self, closure=None):
        if any(p.grad is None for g in self.param_groups for p in g["params"]):
            os._exit(3)
        return super().step(closure)

class Crashes(torch.optim.SGD):
    def step(self, closure=None):
        if self.param_groups[0]["momentum"] and self.state:
            ctypes.string_at(0)
        return super().step(closure)

class Hangs(torch.optim.SGD):
    def step(self, closure=None):
        while self.param_groups[0]["nesterov"] and self.param_groups[0]["lr"] != 0.25:
            time.sleep(1)
        return super().step(closure)
"""


def dying(tmp_path, name, rule, **plan):
    (tmp_path / "dying.py").write_text(DYING)
    patient = Sandbox(f"{tmp_path}/dying.py:{name}", seconds=2.0)
    try:
        return {v.clause.id: v for v in examine(patient, Plan(**plan), rule).verdicts}
    finally:
        patient.close()


def test_a_process_that_ends_is_told_by_the_smallest_script_and_a_reproduction(tmp_path):
    found = dying(tmp_path, "Leaves", "torch", quick=True)
    assert [id for id, v in found.items() if v.outcome != PASSED] == [
        "late",
        "reused",
    ]  # the rest was examined
    late = found["late"]
    assert late.got == "It ended its process with exit code 3, as os._exit(3) does."
    assert late.script.splitlines()[-1] in (
        "step 1: a.grad = None",
        "step 1: b.grad = None",
        "step 1: c.grad = None",
    )
    assert late.diagnosis == "The process ends if a gradient is missing."
    assert subprocess.run([sys.executable, "-c", late.repro], check=False).returncode == 3


@pytest.mark.parametrize("rule", [None, pytest.param("torch", marks=pytest.mark.slow)])
def test_a_crash_needs_its_option_and_its_two_steps(tmp_path, rule):
    found = dying(tmp_path, "Crashes", rule, only=("rule", "moved"))
    assert found["rule"].outcome == FAILED
    assert "signal SIGSEGV" in found["rule"].got
    assert found["rule"].options == {"momentum": 0.75}
    assert found["rule"].script.count("step") == 2
    assert subprocess.run([sys.executable, "-c", found["rule"].repro], check=False).returncode == -11
    assert rule is None or found["moved"].outcome == NOT_APPLICABLE


@pytest.mark.slow
def test_a_hang_is_shrunk_within_bounded_time(tmp_path):
    began = time.monotonic()
    found = dying(tmp_path, "Hangs", "torch", only=("changed-lr",))
    assert time.monotonic() - began < 60
    assert found["changed-lr"].got == "It did not finish within 2 s, and was stopped."
    assert found["changed-lr"].options.keys() >= {"nesterov"}
    assert len(found["changed-lr"].script.splitlines()) == 3  # start, group, and one step
