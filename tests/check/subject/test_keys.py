"""Options that the constructor calls otherwise than the groups do are changed by their key."""

from __future__ import annotations

import torch

from surefoot.check import check
from surefoot.check.identify import identify
from surefoot.check.subject.keys import group_keys
from surefoot.check.subject.load import load
from surefoot.trace import Script, record, to_torch_code


class Ported(torch.optim.Optimizer):
    """Keras's SGD under its constructor's names; the groups have torch's, so that schedulers work."""

    def __init__(self, params, learning_rate=0.01, momentum=0.0, use_nesterov=False):
        super().__init__(params, {"lr": learning_rate, "momentum": momentum, "nesterov": use_nesterov})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr, mu = group["lr"], group["momentum"]
            for p in (p for p in group["params"] if p.grad is not None):
                v = self.state[p].get("velocity", torch.zeros_like(p)) * mu - p.grad * lr
                self.state[p]["velocity"] = v
                p.add_(v * mu - p.grad * lr if group["nesterov"] else v)


class Rescaled(Ported):
    """The same, but its buffer is rescaled by the square when lr changes."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for state in map(self.state.get, group["params"]):
                if state and state["lr"] != group["lr"] != 0:
                    state["velocity"] *= (group["lr"] / state["lr"]) ** 2
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["lr"] = group["lr"]


def test_a_port_with_lr_in_its_buffer_is_no_sgd_of_torchs():
    for options in ({"momentum": 0.9}, {"momentum": 0.5, "use_nesterov": True}):
        found = identify(Ported, options=options)
        assert found.rule is not None
        assert found.rule.name == "keras"
        assert found["learning rate"] == "inside the buffer"
        assert found.options["learning_rate"] == 0.25  # under whatever name
    assert identify(Ported, options={"learning_rate": 0.5})["first move"] == "−0.5"


def test_a_changed_lr_and_groups_are_examined_under_the_groups_names():
    report = check(Ported, "keras", only=["changed-lr", "groups-arithmetic"])
    assert [v.outcome for v in report.verdicts] == ["passed", "passed"]
    verdict = check(Rescaled, "keras", only="changed-lr").verdicts[0]
    assert verdict.outcome == "failed"
    assert 'optimizer.param_groups[0]["lr"] = ' in verdict.repro


def test_keys_are_found_where_one_number_of_the_groups_follows():
    class Reckoned(torch.optim.Optimizer):
        def __init__(self, params, rate=0.1, half=0.5, width=3, b=0.9):
            if width % 1:
                raise ValueError
            super().__init__(params, {"lr": rate, "rate²": rate**2, "h": half / 2, "b": b, "n": width})

    def make(options):
        try:
            return Reckoned([torch.zeros(2)], **options)
        except ValueError:
            return None

    usual = {"rate": 0.1, "half": 0.5, "width": 3, "b": 0.9}
    assert group_keys(make, usual) == {}  # a whole number refuses, lr and its square follow one option
    renamed = {"learning_rate": 0.01, "momentum": 0.0, "use_nesterov": False}
    names = {"learning_rate": "lr", "use_nesterov": "nesterov"}
    assert group_keys(lambda options: Ported([torch.zeros(2)], **options), renamed) == names


def test_a_switch_that_is_refused_without_another_option_is_found():
    class Nesterov(torch.optim.SGD):
        def __init__(self, params, learning_rate=0.1, beta=0.0, use_nesterov=False, unused=1.0):
            super().__init__(params, lr=learning_rate, momentum=beta, nesterov=use_nesterov)

    def make(options):
        try:
            return Nesterov([torch.zeros(2)], **options)
        except ValueError:
            return None

    usual = {"learning_rate": 0.1, "beta": 0.0, "use_nesterov": False, "unused": 1.0}
    names = {"learning_rate": "lr", "beta": "momentum", "use_nesterov": "nesterov"}
    assert group_keys(make, usual) == names


def test_a_script_is_played_and_written_with_the_keys_of_groups():
    script = Script.of({"w": [2]}, gradients=[{"w": [1]}, {"w": [1]}], learning_rate=[0.5, 0.25])
    keys = {"learning_rate": "lr"}
    assert record(script, Ported, keys=keys).steps[-1].w == {"w": (1.25,)}
    scope: dict[str, object] = {"Ported": Ported}
    exec(to_torch_code(script, "Ported", keys=keys), scope)
    assert scope["w"].tolist() == [1.25]


class Paired(torch.optim.Optimizer):
    """Adam under MindSpore's names; the groups have torch's pair, so that what reads it works."""

    def __init__(self, params, lr=1e-3, beta_1=0.9, beta_2=0.999, eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": (beta_1, beta_2), "eps": eps})

    def pair(self, group):
        return group["betas"]

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = self.pair(group)
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                t = s["step"] = s.get("step", 0) + 1
                m = s["m"] = s.get("m", torch.zeros_like(p)).lerp(p.grad, 1 - b1)
                v = s["v"] = s.get("v", torch.zeros_like(p)).lerp(p.grad.square(), 1 - b2)
                p.sub_(group["lr"] * m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + group["eps"]))


class FirstsPair(Paired):
    """The second beta of the first group serves all."""

    def pair(self, group):
        return group["betas"][0], self.param_groups[0]["betas"][1]


def test_options_that_groups_hold_in_one_tuple():
    options = {"lr": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "eps": 1e-8}
    usual = (0.9, 0.999)
    keys = {"beta_1": ("betas", 0, usual), "beta_2": ("betas", 1, usual)}
    assert group_keys(lambda more: Paired([torch.zeros(2)], **more), options) == keys
    left = {o: v for o, v in options.items() if o != "beta_2"}
    assert group_keys(lambda more: Paired([torch.zeros(2)], **more), left) == {}  # whose is the other place?
    clauses = ["groups-arithmetic", "changed-options"]
    assert [v.outcome for v in check(Paired, only=clauses).verdicts] == ["passed", "passed"]
    wrong = check(FirstsPair, only=clauses).failures
    assert [v.clause.id for v in wrong] == ["groups-arithmetic"]
    assert "betas=(" in wrong[0].repro


def test_a_changed_place_of_a_tuple_is_written_as_the_tuple():
    script = Script.of({"w": 2}, gradients=[{"w": 1}, {"w": 2}], lr=0.5, beta_1=[0.5, 0.75], beta_2=0.5)
    keys = {"beta_1": ("betas", 0, (0.9, 0.999)), "beta_2": ("betas", 1, (0.9, 0.999))}
    trace = record(script, Paired, keys=keys)
    assert trace.steps[1].state["w"]["m"] == 0.5 * 0.75 + 2 * 0.25
    assert 'optimizer.param_groups[0]["betas"] = (0.75, 0.5)' in to_torch_code(script, "Paired", keys=keys)


class NeedsTriton(torch.optim.SGD):
    """As Lion of lion-pytorch: the module that a switch asks for ends Python without triton."""

    def __init__(self, params, lr=0.1, use_triton=False):
        super().__init__(params, lr=lr)
        if use_triton:
            raise SystemExit


def test_a_switch_that_ends_python_is_no_reason_not_to_load_the_optimizer():
    assert load(NeedsTriton).signature.options == {"lr": 0.1, "use_triton": False}
    assert check(NeedsTriton, only=["steps", "option-effect"]).ok
