"""Each mutant is caught by the clauses expected, and what is right raises no alarm.

Each failure reads as its golden text, each reproduction shows the fault. With SUREFOOT_WRITE_GOLDEN=1 in the
environment the golden files are written anew; with -m slow also the list of what catches which mutant.
"""

import contextlib
import gc
import io
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from surefoot.check.arithmetic.situations import CLAUSES as SITUATIONS
from surefoot.check.choose import clauses
from surefoot.check.contract import CLAUSES
from surefoot.check.contract.judge import judge
from surefoot.check.report import text
from surefoot.check.report.words import echoes
from surefoot.check.run import check
from surefoot.errors import InputError

MUTANTS = Path(__file__).parents[1] / "mutants"
GOLDEN = Path(__file__).parents[1] / "golden" / "check"
CAUGHT = json.loads(
    (GOLDEN / "caught.json").read_text()
)  # mutant -> the clauses of the contract that it fails
TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
WRITE = bool(os.environ.get("SUREFOOT_WRITE_GOLDEN"))
# mutants whose reproduction would disturb this very process
UNRULY = ("raises_in_del", "replaces_torch_function", "turns_grad_off")

# clause -> the mutant that shows how its failure reads
WITNESS = {
    "is-optimizer": "not_an_optimizer",
    "steps": "combination_crashes",
    "takes-parameters": "params_read_twice",
    "refuses-values": "no_validation",
    "refuses-names": "swallows_typos",
    "option-effect": "decay_unused",
    "group-options": "first_group_for_all",
    "two-groups": "momentum_captured",
    "live-options": "lr_captured",
    "closure-called": "closure_without_grad",
    "closure-once": "closure_called_twice",
    "closure-loss": "loss_not_returned",
    "closure-first": "closure_called_last",
    "grad-kept": "decay_added_into_grad",
    "grad-not-aliased": "buffer_aliases_grad",
    "no-gradient": "none_taken_as_zero",
    "gradient-pauses": "buffers_by_position",
    "late-gradient": "state_made_early_only",
    "in-place": "data_rebound",
    "large": "large_without_momentum",
    "version-moves": "data_hides_change",
    "stays-leaf": "parameter_becomes_result",
    "frozen": "decays_frozen",
    "nothing-else": "lr_written_back",
    "company": "steps_counted_per_parameter",
    "order": "order_matters",
    "split": "last_elements_forgotten",
    "resume": "loaded_state_rounded",
    "state-in-state": "state_outside",
    "checkpoint-file": "object_in_state",
    "loaded-apart": "loaded_state_shared",
    "load-dtype": "loaded_state_shared",
    "goes-back": "group_loaded_as_the_first",
    "older-checkpoint": "later_option_forgotten",
    "pickles": "unpicklable",
    "deep-copies": "state_by_id",
    "add-group": "added_group_crashes",
    "shapes": "empty_parameter_stops",
    "layouts": "memory_order",
    "every-dtype": "single_precision_only",
    "dtype-state": "half_overwrites_state",
    "complex-parts": "complex_squared",
    "sparse": "sparse_taken_as_dense",
    "not-finite": "nan_hidden",
    "deterministic": "global_step_count",
    "no-graph": "graph_kept",
    "flat-memory": "history_kept",
    "skipped-step": "overflow_ignored",
    "paths-agree": "foreach_drops_momentum",
    "small-steps": "steps_cut_off_in_bfloat16",
    "schedulers": "schedule_ignored",
    "tensor-lr": "lr_tensor_written",
    "hooks": "hooks_bypassed",
    "zero-grad": "zero_grad_forgets",
    "no-warnings": "deprecated_add",
    "distributed-checkpoint": "buffers_by_number",
    "goes-quietly": "raises_in_del",
}
# what torch 2.13's own optimizers do that no optimizer should, their plain loops alone
TRUE_FINDINGS = {
    "Adafactor": {"shapes"},  # an empty parameter: ZeroDivisionError
    # a negative eps; until torch 2.15 bfloat16 without Nesterov
    "Muon": {"refuses-values", "dtype-state"} if TORCH < (2, 15) else {"refuses-values"},
}
QUICK = ("Adadelta", "Adam", "LBFGS", "Muon", "SGD")
PLAIN = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ASGD",
    "LBFGS",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
]


# the same for what is asked for with --deep, and for what is seen from outside
APART = {
    "compiles": "compiled_drops_momentum",
    "sharded": "norm_of_a_shard",
    "torch-untouched": "replaces_torch_function",
}


def examined(name, **how):
    return check(f"{name}.py:SGD", **how)


@pytest.fixture
def among_mutants(monkeypatch):
    monkeypatch.chdir(MUTANTS)


def failed(report):
    return {v.clause.id for v in report.failures}


def shows_the_fault(program, unruly=False):
    """Whether a reproduction, pasted, ends in an exception."""
    if unruly:
        return (
            subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=100).returncode != 0
        )
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, "")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            exec(compile(program, "reproduction", "exec"), {"__name__": "pasted"})
    except Exception as error:
        return type(error) not in (NameError, SyntaxError, ImportError)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if not name.startswith("torch"):
                del sys.modules[name]
        torch.set_warn_always(False)
        torch.set_deterministic_debug_mode("default")
    return False


def test_every_clause_has_a_witness():
    assert set(WITNESS) == {id for id, clause in CLAUSES.items() if not clause.deep}
    assert set(APART) == {id for id, clause in clauses().items() if id not in {*WITNESS, *SITUATIONS}}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 writes (a, b) where others write a, b")
@pytest.mark.parametrize("id", [*WITNESS, *APART])
def test_failure_reads_as_its_golden_text(id, among_mutants):
    report = examined({**WITNESS, **APART}[id], only=[id], deep=id in APART)
    written = text(replace(report, seconds=0.0, notes=())) + "\n"
    written = written.replace("Can't get local object", "Can't pickle local object")  # Python 3.13's words
    written = re.sub(  # Python 3.14's
        r"PicklingError: Can't pickle local object\s+<function (\S+)>(?=\n)",
        r"AttributeError: Can't pickle local object '\1'",
        written,
    )
    golden = GOLDEN / f"{id}.txt"
    if WRITE:
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CAUGHT)
def test_mutant_is_caught_and_its_reproductions_show_the_fault(name, among_mutants):
    report = examined(name, only=CAUGHT[name])
    assert failed(report) == set(CAUGHT[name])
    for verdict in report.failures:
        assert echoes(verdict) or shows_the_fault(verdict.repro, name in UNRULY), verdict.repro


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUGHT)
def test_mutant_fails_no_other_clause(name, among_mutants):
    groups = {c.group for c in CLAUSES.values()}
    found = failed(examined(name, only=[*groups, "process"]))
    if WRITE:
        CAUGHT[name] = [id for id in [*CLAUSES, "torch-untouched"] if id in found]
        (GOLDEN / "caught.json").write_text(json.dumps(CAUGHT, indent=2) + "\n")
    assert found == set(CAUGHT[name])


@pytest.mark.slow
def test_deep_clauses(among_mutants):
    deep = [id for id, clause in CLAUSES.items() if clause.deep]
    for subject in ("torch.optim:SGD", "torch.optim:Adam", "surefoot:SGD"):
        report = check(subject, only=deep, deep=True)
        assert [v.outcome for v in report.verdicts] == ["passed"] * len(deep), str(report)
    for id in deep:
        report = check(f"{APART[id]}.py:SGD", only=deep, deep=True)
        assert failed(report) == {id}
        assert not any(
            "printed" in note for note in report.notes
        )  # what the compiler logs is no output of its
        assert shows_the_fault(report[id].repro, unruly=True)


def test_every_mutant_of_the_folder_is_listed():
    ours = {p.stem for p in MUTANTS.glob("*.py")}
    assert set(CAUGHT) <= ours


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PLAIN]
)
def test_plain_loops_of_torch_raise_no_alarm(name):
    groups = {c.group for c in CLAUSES.values()}
    taken = torch.optim.__dict__[name].__init__.__code__.co_varnames
    options = {o: False for o in ("foreach", "fused") if o in taken}
    report = check(getattr(torch.optim, name), options=options, only=sorted(groups))
    assert failed(report) == TRUE_FINDINGS.get(name, set()), str(report)
    assert len({v.clause.id for v in report.verdicts}) == len(CLAUSES)


@pytest.mark.parametrize("convention", [None, "keras", pytest.param("ema", marks=pytest.mark.slow)])
def test_surefoot_sgd_is_clean(convention):
    from surefoot import SGD

    options = {"convention": convention} if convention else {}
    report = check(SGD, options=options, only=sorted({c.group for c in CLAUSES.values()}))
    assert report.ok, str(report)
    assert report["live-options"].outcome == report["older-checkpoint"].outcome == "passed"
    # a convention needs momentum, which is then given
    assert any("examined with momentum=0.75" in note for note in report.notes) == bool(convention)


def test_an_option_refused_in_words_when_it_is_written_into_the_group_is_no_failure(monkeypatch):
    from surefoot import SGD

    options = {"convention": "keras", "momentum": 0.75}
    assert check(SGD, options=options, only=["live-options"]).ok
    monkeypatch.setitem(CLAUSES, "live-options", replace(CLAUSES["live-options"], refuses=()))
    report = check(SGD, options=options, only=["live-options"])
    assert "ValueError: dampening=0.25 has no meaning" in report["live-options"].note  # it was asked


def test_finds_the_four_bugs_of_torch_sgd(fused_leaves_16_bits):
    report = check(torch.optim.SGD, only=["grad-kept", "late-gradient", "skipped-step", "paths-agree"])
    options = {v.clause.id: set(v.options) for v in report.failures}
    assert options["grad-kept"] == {"foreach", "nesterov", "momentum"}
    assert options["late-gradient"] == {"fused", "momentum"}
    assert options["skipped-step"] == {"fused", "momentum"}
    assert report["grad-kept"].diagnosis == "Nesterov's momentum·buffer is added into p.grad."
    if fused_leaves_16_bits:
        assert "fused against the loop, in float16" in report["paths-agree"].note
        assert "None of the 16 elements is updated." in report["paths-agree"].diagnosis
    assert "empty_like" in report["skipped-step"].diagnosis
    assert "None is used as a tensor, such as p.grad" in report["late-gradient"].diagnosis
    for verdict in report.failures:
        assert shows_the_fault(verdict.repro)


def test_what_a_skipped_step_left_unwritten_shows_in_any_process():
    report = check(torch.optim.SGD, options={"fused": True}, only=["skipped-step"])
    assert "here NaN" in report["skipped-step"].diagnosis
    assert shows_the_fault(report["skipped-step"].repro, unruly=True)


def test_torch_switches_are_as_before_after_a_check():
    before = torch.get_deterministic_debug_mode()
    check(torch.optim.SGD, only=["skipped-step", "deterministic", "no-warnings"])
    assert torch.get_deterministic_debug_mode() == before


def test_what_the_collector_leaves_alone_is_as_before_after_a_check():
    gc.unfreeze()
    check(torch.optim.SGD, only=["steps"])
    assert gc.get_freeze_count() == 0
    gc.freeze()  # as these tests have it
    count = gc.get_freeze_count()
    check(torch.optim.SGD, only=["steps"])
    assert gc.get_freeze_count() == count


class NoClosure(torch.optim.SGD):
    """step() takes nothing."""

    def step(self):
        super().step()


def test_one_fault_that_several_clauses_meet_is_told_once():
    report = check(NoClosure, only=["closure"])
    first, *others = report.failures
    assert first.diagnosis == "step() does not accept a closure; write def step(self, closure=None)."
    assert first.repro
    assert not any(echoes(first) or not echoes(v) for v in others)
    assert "the same fault as in closure-called." in others[0].diagnosis
    assert f"{len(others) + 1} failed (1 reported below, the others show the same)" in text(report)
    alone = check(NoClosure, only=["closure-loss"])["closure-loss"]
    assert alone.repro


class NotSaved(torch.optim.SGD):
    """Forgets to return its state dict."""

    def state_dict(self):
        super().state_dict()


def test_the_line_that_raises_stays_in_the_reproduction():
    repro = check(NotSaved, only=["loaded-apart"])["loaded-apart"].repro
    assert "second.load_state_dict(first.state_dict())" in repro
    with pytest.raises(AttributeError, match="NoneType"):
        exec(re.sub("from .* import NotSaved", "", repro), {"NotSaved": NotSaved})


def test_an_option_without_effect_is_told_once(among_mutants):
    report = examined("decay_unused", only=["options"])
    assert [v.clause.id for v in report.failures] == ["option-effect"]


def test_commas_separate_clauses_and_a_group_cannot_be_expected_to_fail():
    report = check(torch.optim.SGD, only=["sparse, hooks", "goes-quietly"], skip=["sparse"])
    assert [v.clause.id for v in report.verdicts] == ["hooks", "goes-quietly"]
    with pytest.raises(InputError, match="'state' is a group of clauses"):
        check(torch.optim.SGD, only=["hooks"], expected_failures={"state": "known"})


def test_new_clauses_are_chosen_skipped_and_expected_like_the_others(among_mutants):
    for name, id in (("lr_tensor_written", "tensor-lr"), ("later_option_forgotten", "older-checkpoint")):
        assert [v.clause.id for v in examined(name, only=[id]).verdicts] == [id]
        group = CLAUSES[id].group
        assert examined(name, only=[group], skip=[id]).ok
        expected = examined(name, only=[id], expected_failures={id: "known"})
        assert expected.ok
        assert expected[id].expected_failure == "known"


@pytest.mark.skipif(TORCH >= (2, 15), reason="torch has mended it")
def test_finds_the_bug_of_torch_muon():
    report = check(torch.optim.Muon, options={"nesterov": False}, only=["dtype-state"])
    assert "bfloat16" in report["dtype-state"].note
    assert "something scales it in place" in report["dtype-state"].diagnosis


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ([("w", [1.0, float("nan")], [1.0, float("nan")])], "passed"),
        ([("w", [1.0], [1.0 + 1e-9], 1e-6)], "passed"),
        ([("w", [1.0], [1.0 + 1e-9])], "failed"),
        ([("w", {"step": 1.0}, {})], "failed"),
        ("it says so", "not applicable"),
        ({"differs": "as Keras"}, "differs"),
    ],
)
def test_claims_are_judged(claims, outcome):
    assert judge(claims).outcome == outcome


def test_numbers_that_part_are_shown_with_as_many_digits_as_it_takes():
    told = judge([("w", [1.0, 0.1], [1.0, 0.1 + 1e-8])])
    assert told.where == "element [1]: expected 0.1, got 0.10000001"
    assert told.got == "[1, 0.10000001]"


def test_a_path_that_is_asked_for_is_the_one_held_against_the_loop(fused_leaves_16_bits):
    assert check(torch.optim.SGD, options={"foreach": True}, only=["paths-agree"]).ok
    assert check(torch.optim.SGD, options={"fused": False}, only=["paths-agree"]).ok
    report = check(torch.optim.SGD, options={"fused": True}, only=["paths-agree", "layouts"])
    assert ("paths-agree" in {v.clause.id for v in report.failures}) is fused_leaves_16_bits
    assert not fused_leaves_16_bits or "fused against the loop" in report["paths-agree"].note
    assert report["layouts"].diagnosis == "It works by memory order: elements get each other's gradients."
