"""What every rule keeps to, and a rule of the user's own."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.rules import DECAYS, RULES, Rule, convert, get, rule
from surefoot.rules.sgd import CLASSICAL

every_rule = pytest.mark.parametrize("r", RULES.values(), ids=lambda r: r.name)
GRADIENTS = (1.0, -2.0, 0.5, 1.25)
HYPER = {"lr": 0.125, "weight_decay": 0.25}


def run(r, number, **hyper):
    h, w = r.hyper(**HYPER, **hyper).map(number), number(1.5)
    s = r.init(h, w)
    for g in GRADIENTS:
        w, s = r.step(h, w, number(g), s)
    return w, s


@every_rule
def test_every_kind_of_number_gives_the_same(r):
    want = run(r, float)[0]
    assert float(run(r, lambda x: torch.tensor(x, dtype=torch.float64))[0]) == pytest.approx(want, rel=1e-14)
    with mpmath.workdps(50):
        assert float(run(r, mpmath.mpf)[0]) == pytest.approx(want, rel=1e-14)
    if r.exact:
        exact = run(r, Fraction)[0]
        assert isinstance(exact, Fraction)
        assert float(exact) == pytest.approx(want, rel=1e-14)


@every_rule
@pytest.mark.parametrize("decay", DECAYS)
def test_fractions_as_hyperparameters_meet_any_number(r, decay):
    """What `convert` returns is fractions, and the same lines run on tensors."""
    h = r.hyper(**HYPER, decay=decay, lr_max=0.5).map(lambda x: Fraction(str(x)))
    rough = h.map(float)
    kinds = [float, np.float64, mpmath.mpf, lambda x: torch.tensor([x, x], dtype=torch.float64)]
    for number in [*kinds, lambda x: np.array([x, x])]:
        w, v = number(1.5), 1.5
        s, state = r.init(h, w), r.init(rough, v)
        for g in GRADIENTS:
            w, s = r.step(h, w, number(g), s)
            v, state = r.step(rough, v, g, state)
            assert np.all(abs(np.asarray(r.point(h, w, s), float) - r.point(rough, v, state)) < 1e-13)
            assert not any(isinstance(x, Fraction) for x in s.values())
    h = convert("keras", "torch", lr=0.01, momentum=0.9).hyper
    w = torch.ones(2)
    w, s = get("torch").step(h, w, w, get("torch").init(h, w))
    assert torch.equal(w, torch.ones(2) - 0.01 * torch.ones(2))
    assert torch.equal(s["momentum_buffer"], torch.ones(2))


@pytest.mark.parametrize("name", [r.name for r in RULES.values() if not r.exact and r.name != "radam"])
def test_a_rule_with_roots_has_no_fractions(name):
    with pytest.raises(InputError, match="is not exact"):
        run(get(name), Fraction)


@every_rule
def test_a_batch_of_hyperparameters_is_each_of_them(r):
    lrs, decays = [0.125, 0.5], [0.25, 0.0]
    batch = {
        "lr": torch.tensor(lrs, dtype=torch.float64),
        "weight_decay": torch.tensor(decays, dtype=torch.float64),
    }
    w, s = torch.tensor([1.5, 1.5], dtype=torch.float64), None
    h = r.hyper(**batch)
    s = r.init(h, w)
    for g in GRADIENTS:
        w, s = r.step(h, w, torch.tensor(g, dtype=torch.float64), s)
    for i, (lr, decay) in enumerate(zip(lrs, decays, strict=True)):
        h, at = r.hyper(lr=lr, weight_decay=decay), 1.5
        state = r.init(h, at)
        for g in GRADIENTS:
            at, state = r.step(h, at, g, state)
        assert w[i].item() == pytest.approx(at, rel=1e-14)


@every_rule
@pytest.mark.parametrize("decay", DECAYS)
def test_lines_are_the_step(r, decay):
    h = r.hyper(lr=0.125, weight_decay=0.25, decay=decay, lr_max=0.5)
    s = r.init(h, 1.5)
    for g in GRADIENTS:
        before = dict(s)
        lines = r.lines(h, 1.5, g, s)
        w, new = r.step(h, 1.5, g, s)
        assert s == before  # nothing given is changed
        assert (lines[-1].name, lines[-1].value) == ("w", w)
        assert len({x.name for x in lines}) == len(lines)
        assert new == {**s, **{x.name: x.value for x in lines if x.name in s}}
        s = new


def test_a_rule_of_ones_own_returning_its_slots():
    @rule
    def mine(w, g, b=0, *, lr=0.5, momentum=0.5):
        """My rule."""
        b = momentum * b + g
        return w - lr * b, b

    assert (mine.name, mine.title) == ("mine", "My rule")
    same = get("optax").variant(lr=0.5, momentum=0.5)
    h = mine.hyper(weight_decay=0.25, maximize=True)
    assert [x.name for x in mine.lines(h, 1.0, 2.0, mine.init(h, 1.0))] == ["ascent", "d", "b", "w"]
    w = w2 = 1.0
    s, s2 = mine.init(h, w), same.init(h, w)
    for g in GRADIENTS:
        w, s = mine.step(h, w, g, s)
        w2, s2 = same.step(same.hyper(**h, nesterov=False), w2, g, s2)
    assert w == w2


def test_a_rule_of_ones_own_naming_its_lines():
    @rule(slots={"b": "momentum_buffer"}, source="me", aliases=("mine2",), lr=0.25)
    def named(w, g, b=None, *, lr, strength=2):
        b = yield "b", g if b is None else b + g
        u = yield "u", strength * b
        return w - lr * u

    h = named.hyper()
    assert dict(h) == {
        "lr": 0.25,
        "strength": 2,
        "weight_decay": 0,
        "decay": "l2",
        "lr_max": None,
        "maximize": False,
    }
    lines = named.lines(h, 1.0, 3.0, {"momentum_buffer": 1.0})
    assert [tuple(x) for x in lines] == [("momentum_buffer", "b", 4.0), ("u", "u", 8.0), ("w", "w", -1.0)]
    assert "uₜ = strength bₜ" in named.text()
    assert get(named) is named


def test_a_rule_with_weight_decay_of_its_own():
    @rule
    def own(w, g, *, lr, weight_decay):
        return w - lr * (g + weight_decay * w)

    assert {x.name for x in own.hypers} == {"lr", "weight_decay"}
    assert own.step(own.hyper(lr=1, weight_decay=2), 3, 4, {}) == (-7, {})


@pytest.mark.parametrize("wrong", [lambda w: w, lambda w, g, *s: w, lambda w, g, **h: w, lambda: 0])
def test_a_signature_that_is_none(wrong):
    with pytest.raises(InputError, match="it must take \\(w, g, slots"):
        rule(wrong)


@pytest.mark.parametrize("decay", [0.5, "l2"])
def test_a_rule_with_a_decay_of_its_own(decay):
    @rule
    def fade(w, g, *, lr, decay=decay):
        return w - lr * (g + (decay if decay != "l2" else 0.5) * w)

    assert not fade.framed
    assert fade.step(fade.hyper(lr=1), 3.0, 4.0, {}) == (-2.5, {})
    assert [line.name for line in fade.lines(fade.hyper(lr=1), 3.0, 4.0, {})] == ["w"]


def test_a_decay_of_its_own_is_a_number_like_any_other():
    @rule
    def fade(w, g, *, lr, decay=0.5):
        return w - lr * (g + decay * w)

    assert fade.step(fade.hyper(lr=1, decay=0.25), 4.0, 4.0, {}) == (-1.0, {})
    assert fade.text() == "gₜ = ∇f(wₜ₋₁)\nwₜ = wₜ₋₁ − γ (gₜ + decay wₜ₋₁)"


@pytest.mark.parametrize("called", ["g", "d", "w", "ascent"])
def test_a_slot_called_as_a_line_of_every_step_is_refused(called):
    named = {"p": called}
    with pytest.raises(
        InputError, match=f"has a slot '{called}', but this is the name of the .* give the slot another name"
    ):

        @rule(slots=named)
        def mine(w, d, p=0, *, lr):
            yield "p", d
            return w - lr * (2 * d - p)


def test_a_slot_whose_letter_is_the_gradients_is_refused():
    with pytest.raises(InputError, match="has a slot 'g', but this is the name of the gradient in every"):

        @rule(slots={"g": "last"})
        def mine(w, d, g=0, *, lr):
            return w - lr * (2 * d - g), d


def test_what_a_rule_of_ones_own_may_get_wrong():
    @rule
    def forgets(w, g, b=0, *, lr):
        return w - lr * g

    with pytest.raises(InputError, match="'forgets' returned one value; it must return w, b, all new"):
        forgets.step(forgets.hyper(lr=1.0), 2.0, 1.0, {"b": 0})
    with pytest.raises(InputError, match="Unknown slot 'c' of the rule 'misnamed'"):

        @rule(slots={"c": "momentum_buffer"})
        def misnamed(w, g, b=0, *, lr):
            return w, b


def test_a_rule_of_ones_own_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from surefoot import rule\n\nONE = 1\n\n@rule\ndef mine(w, g, *, lr):\n    return w - lr * ONE * g\n"
    )
    assert get(f"{file}:mine").step(get("torch").hyper(lr=1), 3, 1, {}) == (2, {})
    with pytest.raises(InputError, match=r"Unknown rule 'mien' in .*mine\.py; did you mean 'mine'"):
        get(f"{file}:mien")
    with pytest.raises(InputError, match=r"none.py cannot be imported: FileNotFoundError"):
        get("none.py:mine")
    with pytest.raises(InputError, match=r"no_such_module cannot be imported: ModuleNotFoundError"):
        get("no_such_module:mine")
    file.write_text("import sys\n\nsys.exit(3)\n")
    with pytest.raises(InputError, match=r"mine.py cannot be imported: SystemExit: 3\."):
        get(f"{file}:mine")


def test_variants():
    r = get("torch").variant(nesterov=True, decay="decoupled")
    assert (r.name, r.hyper().nesterov, r.hyper().decay) == (
        "torch(nesterov=True, decay=decoupled)",
        True,
        "decoupled",
    )
    with pytest.raises(InputError, match="Unknown hyperparameter 'nesterv'; did you mean 'nesterov'"):
        get("torch").variant(nesterv=True)
    with pytest.raises(InputError, match="momentum is -1"):
        get("torch").variant(momentum=-1)


def test_get_by_name_and_alias():
    for r in RULES.values():
        for name in (r.name, *r.aliases):
            expected = CLASSICAL if name in (CLASSICAL.name, *CLASSICAL.aliases) else r
            assert get(name) is expected
            assert get(name.lower()) is expected
            assert get(name.upper()) is expected
    names = [name for r in RULES.values() for name in (r.name, *r.aliases)]
    assert len(names) == len(set(names))
    assert get("SGD").name == "torch"
    with pytest.raises(InputError, match="Unknown rule 'tourch'; did you mean 'torch'"):
        get("tourch")
    with pytest.raises(InputError, match="must be a name, such as 'torch', or a Rule, not 3"):
        get(3)


@pytest.mark.parametrize("name", ["classical", "caffe", "mxnet", "sklearn", "chainer"])
def test_libraries_that_add_weight_decay_to_the_gradient(name):
    """Caffe's Regularize, MXNet's sgd_mom_update, scikit-learn's alpha, Chainer's WeightDecay hook."""
    classical, keras = get(name), get("keras")
    assert name in keras.aliases
    h = classical.hyper(lr=0.5, momentum=0.5, weight_decay=0.25).map(Fraction)
    s = {"velocity": Fraction(1)}
    v = Fraction(1, 2) - Fraction(1, 2) * (3 + Fraction(1, 4) * 2)
    assert classical.step(h, Fraction(2), Fraction(3), s) == (2 + v, {"velocity": v})
    off = classical.hyper(lr=0.5, momentum=0.5)
    assert classical.step(off, 2.0, 3.0, {"velocity": 1.0}) == keras.step(off, 2.0, 3.0, {"velocity": 1.0})
    assert keras.hyper().decay == "decoupled"


def test_a_rule_in_a_file_of_ones_own(tmp_path):
    (tmp_path / "neighbour_of_a_rule.py").write_text("HALF = 0.5\n")
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from neighbour_of_a_rule import HALF\n"
        "from surefoot.rules import rule\n"
        "@dataclass\n"
        "class Note:\n"
        "    text: str = 'a dataclass looks for its module'\n"
        "@rule\n"
        "def halved(w, g, *, lr=1):\n"
        "    return w - HALF * lr * g\n"
    )
    assert get(f"{tmp_path}/mine.py:halved").name == "halved"


def test_only_a_mistake_is_marked_as_one():
    assert [r.name for r in RULES.values() if r.mistake] == ["chainer_nag"]
    assert all(r.source and r.title for r in RULES.values())


def test_hyperparameters_copy_and_pickle():
    h = get("torch").hyper(lr=0.5)
    assert pickle.loads(pickle.dumps(h)) == copy.deepcopy(h) == copy.copy(h) == h
    assert isinstance(get("torch"), Rule)


def test_importing_the_rules_imports_nothing_heavy():
    heavy = "('torch', 'sympy', 'mpmath', 'numpy')"
    code = f"import sys, surefoot.rules; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@given(seed=st.integers(0, 3))
def test_fifty_exact_steps_stay_small(seed):
    """Speed is shown in benchmarks; here, that denominators grow by a few digits a step and no more."""
    r, w = get("torch"), Fraction(seed, 3)
    h = r.hyper(lr=Fraction(1, 10), momentum=Fraction(9, 10), weight_decay=Fraction(1, 100))
    s = r.init(h, w)
    for _ in range(50):
        w, s = r.step(h, w, w / 2, s)
    assert len(str(w.denominator)) < 250


def test_a_prompt_shows_a_line() -> None:
    assert repr(get("torch")) == "<Rule torch: PyTorch's SGD>"


def test_the_defaults_of_another_rule_are_taken_over_where_both_have_them():
    keras = get("keras").variant(momentum=0.5, nesterov=True)
    made = get("torch").with_defaults_of(keras, dampening=0.25)
    assert made.formula is get("torch").formula
    assert made.defaults == {
        **get("torch").defaults,
        **{"lr": 0.01, "momentum": 0.5, "nesterov": True, "decay": "decoupled", "dampening": 0.25},
    }
    assert made.name == "torch(lr=0.01, momentum=0.5, nesterov=True, decay=decoupled, dampening=0.25)"
    assert get("torch").with_defaults_of(keras, "mine").name == "mine"


def test_a_default_that_another_rule_lacks_or_leaves_open_stays():
    bound = get("torch").variant(lr_max=0.5)
    assert bound.with_defaults_of(get("torch")).defaults == bound.defaults
    assert get("keras").with_defaults_of(get("torch").variant(dampening=0.5)).defaults == {
        **get("keras").defaults,
        **{"lr": get("torch").defaults["lr"], "decay": "l2"},
    }
