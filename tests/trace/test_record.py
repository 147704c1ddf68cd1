"""Recording torch optimizers: what is done to them, in which order, and what is written down."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import pytest
import torch

from surefoot.errors import InputError
from surefoot.trace import Group, Move, OptimizerRaised, Reload, Script, Set, Step, record


class Spy(torch.optim.Optimizer):
    """Descends, and notes at each step what it was given."""

    seen: list[list[dict]]

    def __init__(self, params, lr=1.0, **more):
        super().__init__(params, {"lr": lr, **more})
        self.seen = []

    def step(self, closure=None):
        """One step."""
        self.seen.append(
            [{**g, "params": [(p.tolist(), p.grad) for p in g["params"]]} for g in self.param_groups]
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data.add_(p.grad, alpha=-group["lr"])
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    state["last"] = p.grad.clone()
                    state["note"] = "not a number"
                    state["flag"] = True


def recorded(script, make=Spy, **more):
    """A trace, and the last optimizer that was made."""
    made = []

    def keep(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    return record(script, keep, **more), made


def test_numbers_are_recorded_exactly():
    trace, _ = recorded(Script.of({"w": 0.1}, gradients=[{"w": 0.2}], lr=1), dtype="float32")
    assert trace.start["w"] == Fraction(torch.tensor(0.1).item())
    assert trace.steps[0].gradients["w"] == Fraction(torch.tensor(0.2).item())
    assert trace.steps[0].w["w"] == Fraction((torch.tensor(0.1) - torch.tensor(0.2)).item())
    assert trace.dtypes == {"w": "float32"}
    assert trace.label == "Spy in float32"


def test_nan_and_inf_are_recorded():
    trace, _ = recorded(Script.of({"w": [1, 2]}, gradients=[{"w": [math.nan, math.inf]}], lr=1))
    assert math.isnan(trace.steps[0].w["w"][0])
    assert trace.steps[0].w["w"][1] == -math.inf


def test_state_is_what_the_optimizer_keeps_in_numbers():
    trace, _ = recorded(Script.of({"w": [1, 2]}, gradients=[{"w": [1, 0]}], lr=1))
    assert trace.steps[0].state == {"w": {"count": 1, "last": (1, 0)}}


def test_a_missing_gradient_is_none_and_stays_unrecorded():
    trace, made = recorded(Script.of({"v": 1, "w": 2}, gradients=[{"w": 1}, {"v": 1}], lr=1))
    assert [m.gradients for m in trace.steps] == [{"w": 1}, {"v": 1}]
    assert [p[1] is None for p in made[0].seen[0][0]["params"]] == [True, False]
    assert set(trace.steps[0].state) == {"w"}


def test_groups_get_their_options_and_join_when_told():
    groups = (Group(("v",), {"lr": 0.5}), Group(("w",), {"lr": 0.25}, joins=2))
    trace, made = recorded(Script({"v": 1, "w": 1}, groups, (Step({"v": 1, "w": 1}),) * 2))
    assert [[g["lr"] for g in step] for step in made[0].seen] == [[0.5], [0.5, 0.25]]
    assert trace.steps[1].w == {"v": 0, "w": Fraction(3, 4)}


def test_two_groups_from_the_start():
    groups = (Group(("v",), {"lr": 0.5}), Group(("w",), {"lr": 0.25}))
    trace, _ = recorded(Script({"v": 1, "w": 1}, groups, (Step({"v": 1, "w": 1}),)))
    assert trace.steps[0].w == {"v": Fraction(1, 2), "w": Fraction(3, 4)}


def test_options_change_in_the_live_groups():
    groups = (Group(("v",), {"lr": 0.5}), Group(("w",), {"lr": 0.25}))
    steps = (Step({}), Step({}, (Set("lr", 0.125),)), Step({}, (Set("lr", 2, 1),)))
    trace, made = recorded(Script({"v": 1, "w": 1}, groups, steps))
    assert [[g["lr"] for g in step] for step in made[0].seen] == [[0.5, 0.25], [0.125, 0.125], [0.125, 2.0]]
    assert trace.steps[2].options == ({"lr": Fraction(1, 8)}, {"lr": 2})


def test_a_move_writes_the_parameter_in_place_and_is_seen_before_the_step():
    trace, _ = recorded(Script.of({"w": 1}, gradients=[{"w": 1}], lr=1))
    moved, _ = recorded(Script({"w": 1}, (Group(("w",), {"lr": 1}),), (Step({"w": 1}, (Move("w", 5),)),)))
    assert trace.steps[0].before["w"] == 1
    assert moved.steps[0].before["w"] == 5
    assert moved.steps[0].w["w"] == 4


def test_reload_makes_a_new_optimizer_with_the_old_state():
    script = Script({"w": 1}, (Group(("w",), {"lr": 1}),), (Step({"w": 1}), Step({"w": 1}, (Reload(),))))
    trace, made = recorded(script)
    assert len(made) == 2
    assert trace.steps[1].state["w"]["count"] == 2


def test_a_reused_gradient_is_one_tensor_overwritten_after_the_step():
    class Keeper(Spy):
        def step(self, closure=None):
            """Keep the gradient itself, as a buffer that aliases it would."""
            for p in self.param_groups[0]["params"]:
                self.state[p].setdefault("kept", p.grad)

    script = Script({"w": 1}, (Group(("w",)),), (Step({"w": 1}), Step({"w": 2})), reuse_gradients=True)
    trace, _ = recorded(script, Keeper)
    assert [m.gradients["w"] for m in trace.steps] == [1, 2]
    assert [m.state["w"]["kept"] for m in trace.steps] == [1, 2]  # it holds what the tensor holds now
    fresh, _ = recorded(Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 2}]), Keeper)
    assert [m.state["w"]["kept"] for m in fresh.steps] == [1, 1]


def test_several_dtypes_at_once():
    groups = (Group(("v", "w"), {"lr": 1}),)
    script = Script({"v": 0.1, "w": 0.1}, groups, (Step({"v": 0}),), dtypes={"w": "bfloat16"})
    trace, _ = recorded(script)
    assert trace.start["w"] == Fraction(torch.tensor(0.1, dtype=torch.bfloat16).item())
    assert trace.label == "Spy in float64, bfloat16"


@pytest.mark.parametrize("sizes", [(), (0,), (2, 0), (1,), (2, 3), (2, 1, 2)])
def test_every_shape_keeps_its_shape(sizes):
    value = torch.arange(math.prod(sizes)).reshape(sizes).tolist()
    trace, _ = recorded(Script.of({"w": value}, gradients=[{"w": value}], lr=1))
    assert torch.tensor([float(x) for x in _flat(trace.steps[0].w["w"])]).eq(0).all()


def _flat(value):
    return [x for v in value for x in _flat(v)] if isinstance(value, tuple) else [value]


def test_options_are_written_under_the_keys_that_groups_hold_them_by():
    class Paired(Spy):
        def __init__(self, params, beta=0.0):
            super().__init__(params, lr=1.0, betas=(beta, 0.75))

    script = Script.of({"w": 1}, gradients=[{}, {}], beta=[0.5, 0.25])
    _, made = recorded(script, Paired, keys={"beta": ("betas", 0, (0.0, 0.75))})
    assert [s[0]["betas"] for s in made[0].seen] == [(0.5, 0.75), (0.25, 0.75)]


def test_what_the_optimizer_raises_says_where_and_keeps_the_trace():
    class Fragile(Spy):
        def step(self, closure=None):
            """Fail at the second step."""
            if self.seen:
                raise RuntimeError("broken")
            super().step()

    with pytest.raises(OptimizerRaised) as error:
        recorded(Script.of({"w": 1}, gradients=[{"w": 1}] * 3, lr=1), Fragile)
    assert str(error.value) == "step 2 raised RuntimeError: broken"
    assert len(error.value.trace.steps) == 1


def test_a_constructor_that_raises_is_told_apart():
    with pytest.raises(OptimizerRaised) as error:
        record(Script.of({"w": 1}, gradients=[{"w": 1}], lr=-1), torch.optim.SGD)
    assert str(error.value) == "construction raised ValueError: Invalid learning rate: -1.0"
    assert error.value.trace is None


def test_an_unknown_dtype_is_refused():
    with pytest.raises(InputError) as error:
        record(Script.of({"w": 1}, gradients=[]), torch.optim.SGD, dtype="int32")
    assert (
        str(error.value)
        == "'int32' is not a floating-point dtype of torch; use e.g. 'float64' or 'bfloat16'."
    )


def test_state_that_is_no_real_number_is_left_out():
    class Masked(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                self.state[p] |= {
                    "mask": torch.ones(1) > 0,
                    "phase": torch.ones(1) * 1j,
                    "kept": 3,
                    "on": True,
                }

    script = Script.of({"w": [1]}, gradients=[{"w": [1]}], lr=1)
    assert set(record(script, Masked).steps[0].state["w"]) == {"kept"}


def test_an_option_that_the_groups_do_not_have_cannot_be_changed():
    script = Script({"w": 1}, (Group(("w",), {"lr": 1}),), (Step({"w": 1}), Step({"w": 1}, (Set("mu", 1),))))
    with pytest.raises(OptimizerRaised, match="mu is not in the optimizer's param_groups") as raised:
        recorded(script)
    assert (raised.value.action, raised.value.step) == ("set", 2)


def test_the_dtypes_of_state_are_those_of_its_tensors_of_floating_point():
    class Mixed(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                self.state[p].update(narrow=p.float(), count=torch.tensor(1), number=0.5, mask=p > 0)

    script = Script.of({"w": 1}, gradients=[{"w": 1}], lr=1, momentum=0.5)
    trace = record(script, Mixed)
    assert trace.state_dtypes == {"momentum_buffer": "float64", "narrow": "float32"}


def test_what_has_no_state_is_recorded_without_and_cannot_change_its_options():
    class Bare:
        def __init__(self, params, lr):
            self.params, self.lr = list(params), lr

        def step(self):
            for p in self.params:
                p.data -= self.lr * p.grad

    steps = Script.of({"w": 1}, gradients=[{"w": 1}] * 2, lr=0.5)
    trace = record(steps, Bare)
    assert ([m.w["w"] for m in trace.steps], trace.steps[0].state) == ([0.5, 0], {})
    changed = Script.of({"w": 1}, gradients=[{"w": 1}] * 2, lr=[0.5, 0.25])
    with pytest.raises(OptimizerRaised) as raised:
        record(changed, Bare)
    assert raised.value.action == "set"


def test_state_that_is_kept_by_id_is_that_of_no_parameter():
    class ById(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                self.state[id(p)]["mine"] = 1.0

    script = Script.of({"w": [1, 2]}, gradients=[{"w": [1, 1]}] * 2, lr=0.5)
    steps = record(script, ById).steps
    assert [(m.w["w"], m.state) for m in steps] == [((0.5, 1.5), {}), ((0, 1), {})]


def test_an_interrupt_passes_unless_it_is_to_be_caught():
    class Interrupts(torch.optim.SGD):
        def step(self, closure=None):
            raise KeyboardInterrupt

    script = Script.of({"w": 1}, gradients=[{"w": 1}], lr=0.5)
    with pytest.raises(KeyboardInterrupt):
        record(script, Interrupts)
    with pytest.raises(OptimizerRaised) as raised:
        record(script, Interrupts, caught=(BaseException,))
    assert (raised.value.action, raised.value.step) == ("step", 1)


def test_a_dtype_may_be_torchs_own():
    script = Script.of({"w": 1}, gradients=[{"w": 1}], lr=0.5)
    assert record(script, torch.optim.SGD, dtype=torch.float32).dtypes == {"w": "float32"}
    assert dataclasses.replace(script, dtypes={"w": torch.bfloat16}).dtypes == {"w": "bfloat16"}


@pytest.mark.parametrize(
    ("script", "make", "said"),
    [
        (Script.of({"w": 1}, gradients=[], lr=1), "torch.optim:SGD", "not a str."),
        (Script.of({}, gradients=[], lr=1), torch.optim.SGD, "The script has no parameters to step; give it"),
    ],
)
def test_what_cannot_be_recorded_is_told(script, make, said):
    with pytest.raises(InputError) as caught:
        record(script, make)
    assert said in str(caught.value)
