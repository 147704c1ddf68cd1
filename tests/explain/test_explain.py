"""The lecture's table, conventions and optimizers side by side, what is refused, what is imported."""

from __future__ import annotations

import inspect
import json
import math
import re
import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import surefoot
from surefoot.cli import main
from surefoot.errors import InputError
from surefoot.explain import explain
from surefoot.rules import rule
from surefoot.trace.values import elements

LECTURE: dict[str, Any] = {"f": "mean(3*a**3 - b**2)", "at": {"a": [2, 3], "b": [6, 4]}, "lr": 1e-3}


def rounded(value: Any) -> tuple[str, ...]:
    return tuple(f"{float(x):.4f}" for x in elements(value))


def test_the_lectures_table() -> None:
    plain, (first, second) = (explain("sgd", **LECTURE, steps=1).traces[0].steps[0], explain(
        "sgd", **LECTURE, momentum=0.9, steps=2
    ).traces[0].steps)  # fmt: skip
    assert (rounded(plain.w["a"]), rounded(plain.w["b"])) == (("1.9820", "2.9595"), ("6.0060", "4.0040"))
    assert plain.state == {"a": {}, "b": {}}
    assert first.w == plain.w
    assert rounded(first.state["a"]["momentum_buffer"]) == ("18.0000", "40.5000")
    assert rounded(first.state["b"]["momentum_buffer"]) == ("-6.0000", "-4.0000")
    assert (rounded(second.w["a"]), rounded(second.w["b"])) == (("1.9481", "2.8836"), ("6.0174", "4.0116"))
    assert rounded(second.state["a"]["momentum_buffer"]) == ("33.8775", "75.8639")
    assert rounded(second.state["b"]["momentum_buffer"]) == ("-11.4060", "-7.6040")
    assert explain("sgd", **LECTURE).worked[0].value == Fraction(53, 2)


def test_the_lectures_optimizer_itself_gives_this_table() -> None:
    explanation = explain("sgd", **LECTURE, momentum=0.9, optimizer=torch.optim.SGD)
    assert [str(p) for p in explanation.partings] == ["torch and SGD in float64 agree in every number."]
    assert "and by torch's autograd" in explanation.checks


def test_the_module_is_the_function() -> None:
    assert surefoot.explain("sgd", **LECTURE).text() == explain("sgd", **LECTURE).text()


def test_a_new_lr_parts_torch_from_keras_by_what_is_known() -> None:
    e = explain(["torch", "keras"], f="w**2", at={"w": 1}, lr=[0.25, 0.25, 0.125], momentum=0.5)
    m = e.partings[0].mismatch
    assert m is not None
    assert (m.step, m.name) == (3, "w")
    b = e.traces[0].steps[1].state["w"]["momentum_buffer"]
    assert m.got - m.expected == Fraction(1, 2) * b * (Fraction(1, 8) - Fraction(1, 4))
    assert e.partings[0].reason == (
        "The reason is the new lr: with the old one they would still agree here. keras's v keeps each "
        "gradient at the lr of its own step; torch multiplies all of b by the new lr."
    )


@pytest.mark.parametrize(
    ("rules", "options", "step", "reason"),
    [
        (["torch", "optax"], {"dampening": 0.5}, 2, "The reason is dampening: with dampening=0 they would"),
        (["torch", "mlx"], {"dampening": 0.5}, 1, "The reason is dampening: with dampening=0 they would"),
        (["torch", "chainer_nag"], {}, 1, "The reason is momentum: with momentum=0 they would still agree"),
    ],
)
def test_the_option_that_makes_them_part_is_named(rules: Any, options: Any, step: int, reason: str) -> None:
    parting = explain(rules, f="w**2", at={"w": 1}, lr=0.25, momentum=0.5, steps=3, **options).partings[0]
    assert parting.mismatch is not None
    assert parting.mismatch.step == step
    assert parting.reason.startswith(reason)


def test_conventions_that_agree_say_so() -> None:
    parting = explain(["torch", "keras"], f="exp(w)", at={"w": 1}, lr=0.25, momentum=0.5, steps=5).partings[0]
    assert str(parting) == "torch and keras agree in every number."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nesterov": True}, "The second is what torch with nesterov=True gives."),
        ({"weight_decay": 0.0}, "The second is what torch with weight_decay=0 gives."),
        ({"momentum": 0.75}, ""),
    ],
)
def test_an_optimizer_that_parts_is_recognised(change: Any, reason: str) -> None:
    def mine(parameters: Any, **options: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, **{**options, **change})

    e = explain(
        "sgd", f="w**4", at={"w": 1}, lr=0.125, momentum=0.5, weight_decay=0.5, steps=3, optimizer=mine
    )
    assert e.partings[0].mismatch is not None
    assert e.partings[0].reason == reason


def test_what_momentum_did_is_computed() -> None:
    far = explain("sgd", f="w**2", at={"w": 1}, lr=0.125, momentum=0.5, steps=2)
    w, plain = Fraction(3, 4) - Fraction(1, 8) * (1 + Fraction(3, 2)), Fraction(9, 16)
    assert far.traces[0].steps[-1].w["w"] == w
    assert far.closing == (
        f"What momentum did (μ = 0.5): after 2 steps w is {float(1 - w):.4f} away from where it started, "
        f"{float((1 - w) / (1 - plain)):.2f} times as far as without it ({float(1 - plain):.4f}); "
        f"f is {float(w**2):.4f}, without it {float(plain**2):.4f}."
    )
    uphill = explain("sgd", f="w**2", at={"w": 1}, lr=0.25, momentum=0.75, steps=3)
    assert uphill.closing.endswith(
        "In 1 of 3 movements it carried an element against the gradient of that step."
    )
    first = explain("sgd", f="w**2", at={"w": 1}, lr=0.5, momentum=0.5, steps=1)
    assert first.closing == (
        "What momentum did (μ = 0.5): nothing yet; after one step w is where it would be without it."
    )
    both = {"f": "a**2 + b**2", "at": {"a": 3, "b": 4}, "lr": 0.125, "momentum": 0.5}
    assert (
        "after 2 steps all parameters together are 2.8125 away from where they started"
        in explain("sgd", **both, steps=2).closing
    )
    assert "after one step all parameters are where they would be" in explain("sgd", **both, steps=1).closing
    assert explain("sgd", f="w**2", at={"w": 1}).closing.startswith("No momentum here (μ = 0)")
    assert explain("rmsprop", f="w**2", at={"w": 1}).closing.startswith("No momentum here (μ = 0)")
    assert explain("adagrad", f="w**2", at={"w": 1}).closing.startswith("This rule has no momentum")


def test_theory_stands_beside_a_quadratic_alone() -> None:
    assert explain("sgd", f="w**2", at={"w": 1}).theory[0].startswith("f is quadratic; its curvature h")
    assert explain("sgd", f="w**3", at={"w": 1}).theory == ()


def test_json_is_json_and_exact_on_request() -> None:
    data = json.loads(explain("sgd", **LECTURE, exact=True).json())
    assert data["rules"][0]["steps"][0]["tensors"]["a"][-1]["value"] == ["991/500", "5919/2000"]
    hot = explain("sgd", at={"w": 1}, gradients=[{"w": math.inf}, {"w": math.nan}], lr=1)
    assert json.loads(hot.json())["rules"][0]["steps"][1]["tensors"]["w"][-1]["value"] == "nan"


def test_frame() -> None:
    pytest.importorskip("pandas")
    frame = explain(["torch", "keras"], **LECTURE, momentum=0.5, steps=3).frame()
    assert list(frame.columns) == [
        "rule",
        "step",
        "tensor",
        "index",
        "g",
        "momentum_buffer",
        "w",
        "velocity",
        "f",
    ]
    assert len(frame) == 2 * 3 * 4
    assert frame.w[0] == 1.982


def test_a_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError) as error:
        explain("sgd", **LECTURE).frame()
    assert str(error.value) == "A frame needs pandas, which is not installed; `pip install pandas`."


@pytest.mark.parametrize(
    "tenth", [torch.tensor(0.1), np.float32(0.1), np.float64(0.1), torch.tensor(0.1).half()]
)
def test_options_are_read_as_starts_are(tenth: Any) -> None:
    said = explain("sgd", f="w**2", at={"w": 1}, lr=0.1, momentum=[0.1, 0.2], autograd=False).text()
    read = explain("sgd", f="w**2", at={"w": 1}, lr=tenth, momentum=[tenth, 0.2], autograd=False).text()
    assert read == said


def test_notebooks_get_typeset_markdown_and_latex() -> None:
    e = explain("sgd", **LECTURE)
    assert not hasattr(e, "_repr_html_")  # which notebooks would prefer, and not typeset everywhere
    shown = e._repr_markdown_()
    assert shown == e.markdown(typeset=True)
    assert "\n$$\n\\begin{aligned}\n" in shown
    assert shown.count("$$") % 2 == 0
    assert not set("γμ₀₁") & set("".join(shown.split("$")[1::2]))
    assert r"\begin{align*}" in e._repr_latex_()
    assert "<script" not in e.html()


def test_what_styles_an_explanation_leaves_the_rest_of_its_page_as_it_is() -> None:
    """Report and explanation share a notebook's page, and a style is the whole page's."""
    report = surefoot.check(torch.optim.SGD, "torch", only="hooks")
    shown = (explain("sgd", f="w**2", at={"w": 1}).html(page=False), report._repr_html_())
    rules = []
    for html in shown:
        style = re.sub(r"/\*.*?\*/", "", re.split("</?style>", html)[1], flags=re.DOTALL)
        style = re.sub(r"@media[^{]*\{", "", style)  # what it holds is looked at like all else
        rules.append(",".join(re.findall(r"([^{}]+)\{", style)).split(","))
    for selectors, html, other in zip(rules, shown, reversed(shown), strict=True):
        (scope,) = {selector.split()[0] for selector in selectors}
        assert f'class="{scope[1:]}"' in html
        assert f'class="{scope[1:]}"' not in other


def test_html_breaks_its_lines_on_a_phone() -> None:
    """The results stand last in a line; cut off, they would be missed (looked at in a browser)."""
    html = explain("sgd", f="w**2", at={"w": 1}).html()
    narrow = html.partition("@media (max-width: 40em)")[2].partition("</style>")[0]
    assert "table.work td { display: inline; padding: 0; white-space: normal; }" in narrow
    assert r'table.work td.numbers:not(:empty)::before { content: "\A\2003"; white-space: pre; }' in narrow
    assert '<table class="work">' in html


def test_html_shows_what_was_typed_and_runs_none_of_it() -> None:
    @rule(title="<b>bold</b> & $5")
    def bold(w, g, *, lr):  # type: ignore[no-untyped-def]
        return w - lr * g

    e = explain(bold, f="w**2", at={"w": 1})
    assert "<b>bold" not in e.html()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; $5" in e.html()
    assert r"$<$b$>$bold$<$/b$>$ \& \$5" in e.latex()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"lr": -1}, "lr is -1; it must be a number with γ ≥ 0."),
    ({"lr": [0.1, -1]}, "At step 2: lr is -1; it must be a number with γ ≥ 0."),
    ({"momentum": math.nan}, "momentum is nan; it must be a number with μ ≥ 0."),
    ({"rule": "torch,torhc"}, "Unknown rule 'torhc'; did you mean 'torch'?"),
    ({"rule": "torch,"}, "Unknown rule ''; known: "),
    ({"rule": "kears"}, "Unknown rule 'kears'; did you mean 'keras'? Known: "),
    (
        {"rule": "w**2"},
        "'w**2' is not a rule; the rule comes first, then f: explain('sgd', 'w**2', at=…).",
    ),
    ({"rule": []}, "rule is empty; name at least one, such as 'sgd'."),
    (
        {"rule": ["sgd", "keras", "torch"], "lr": [0.1, 0.3]},
        "'sgd' and 'torch' are the same rule. To compare two settings of it, "
        "explain each in Python and plot both: explain(…, lr=0.1).plot('path', explain(…, lr=0.3)).",
    ),
    (
        {"rule": "nesterov"},
        "'nesterov' is not a rule: Nesterov's momentum is an option of sgd, with momentum 0.9 and nesterov "
        "(--momentum 0.9 --nesterov; in Python momentum=0.9, nesterov=True).",
    ),
    (
        {"rule": "heavy-ball", "nesterov": True},
        "heavy_ball has no option nesterov for Nesterov's momentum; sgd takes it, with momentum 0.9, say.",
    ),
    (
        {"rule": ["adam", "rmsprop"], "nesterov": True},
        "adam and rmsprop have no option nesterov for Nesterov's momentum; nadam is Adam with it.",
    ),
    ({"momentun": 0.9}, "Unknown hyperparameter 'momentun' of torch; did you mean 'momentum'? Known: "),
    (
        {"rule": ["torch", "adam"], "eps2": 1},
        "Unknown hyperparameter 'eps2' of torch and adam; did you mean 'eps'? Known: ",
    ),
    ({"steps": 0}, "steps is 0; it must be a whole number from 1 to 1000."),
    ({"steps": 2.5}, "steps is 2.5; it must be a whole number from 1 to 1000."),
    ({"digits": -1}, "digits is -1; it must be a whole number from 0 to 40."),
    ({"at": 3}, "at must give each variable a start value, as in {'a': [2, 3]}, but it is 3."),
    ({"at": {"w": "one"}}, "w holds 'one', which is not a number."),
    (
        {"at": {"w": "1e999999999"}},
        "w holds '1e999999999'; at most 4000 characters are allowed, and exponents up to 9999.",
    ),
    ({"lr": "1e-99999"}, "lr holds '1e-99999'; at most 4000 characters are allowed, and"),
    ({"momentum": "inf", "steps": 1}, "momentum is inf; it must be a finite number."),
    ({"lr": [0.1, math.inf]}, "lr is inf; it must be a finite number."),
    ({"dampening": -math.inf}, "dampening is -inf; it must be a finite number."),
    ({"rule": "adam", "eps": math.inf}, "eps is inf; it must be a finite number."),
    ({"at": {"w": [[1], 2]}}, "w is not rectangular: its parts have shapes () and (1,)."),
    ({"f": None}, "Give either f, an expression to differentiate, or gradients, and not both."),
    ({"gradients": [{"w": 1}]}, "Give either f, an expression to differentiate, or gradients, and not both."),
    ({"f": None, "gradients": [3]}, "gradients must be a list with, for each step, {name: gradient}."),
    (
        {"f": None, "gradients": [{"w": [1, 2]}]},
        "The gradient of 'w' at step 1 has shape (2,), but 'w' has shape ().",
    ),
    ({"f": None, "gradients": [{"w": 1}], "steps": 2}, "There are gradients for 1 steps, but steps is 2."),
    ({"f": None, "gradients": []}, "gradients is empty; give those of at least one step."),
    ({"optimizer": 3}, "optimizer must be a torch optimizer's class, but it is 3."),
    ({"optimizer": torch.optim.LBFGS}, "LBFGS cannot be recorded: step 1 raised TypeError: "),
    (
        {"f": "w**4", "lr": 1000, "steps": 20},
        "At step 6: w has grown beyond 10^1000; a smaller lr may keep it",
    ),
    ({"f": "w**2 + v"}, "f has the unknown name 'v'"),
    (
        {"rule": "adam", "exact": True},
        "Exact fractions are not possible, since adam takes square roots; leave out exact "
        "for rounded numbers.",
    ),
    (
        {"f": "exp(w)", "exact": True},
        "Exact fractions are not possible, since f = exp(w) has roots, norms, exp, log, sin, cos, tanh "
        "or sigmoid; leave out exact for rounded numbers.",
    ),
    ({"f": "1/w", "at": {"w": 0}}, "At step 1: '"),
    (
        {"f": "log(w)", "at": {"w": 1}, "lr": 2, "steps": 1},
        "After step 1: 'log(w)' cannot be computed: log of -1",
    ),
    (
        {"f": "log(w)", "at": {"w": 1}, "lr": 2, "steps": 2},
        "At step 2: 'log(w)' cannot be computed: log of -1",
    ),
    ({"f": "w**4", "at": {"w": 3}, "lr": 0.1, "exact": True, "steps": 40}, "At step "),
    (
        {"optimizer": torch.optim.SGD, "lr": 0.1, "nesterov": True},
        "SGD cannot be recorded: construction raised ",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BAD)
def test_bad_input_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    given = {"f": "w**2", "at": {"w": 1}, **change}
    with pytest.raises(InputError) as error:
        explain(given.pop("rule", "sgd"), **given)
    assert str(error.value).startswith(sentence)


def test_f_may_come_second_as_on_the_command_line() -> None:
    assert str(explain("sgd", "w**2", at={"w": 1})) == str(explain("sgd", f="w**2", at={"w": 1}))


def test_help_tells_what_to_pass() -> None:
    import surefoot.explain as module
    from surefoot.explain.explain import explain as function

    assert inspect.signature(module) == inspect.signature(function)
    assert "at: name → start value" in inspect.getdoc(module)


def test_the_theory_is_for_the_values_of_the_end() -> None:
    theory = explain("sgd", f="w**2", at={"w": 1}, lr=[0.1, 0.2], steps=3).theory
    assert theory[1] == "What follows is for the last step's lr 0.2."
    assert theory[2].endswith("here lr·h is 0.4.")
    assert theory[3].startswith("Rate: in the end each step multiplies the error by 0.6 ")


def test_a_division_by_zero_in_a_rule_says_the_step() -> None:
    @rule
    def shrinking(w, g, *, lr=1):  # type: ignore[no-untyped-def]
        return w - lr / g

    with pytest.raises(InputError) as error:
        explain(shrinking, at={"w": 1}, gradients=[{"w": 1}, {"w": 0}])
    assert str(error.value) == "At step 2: a division by zero, or a number too large, in rule 'shrinking'."


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "surefoot", "explain", *arguments],
        capture_output=True, text=True, encoding="utf-8", env={**os.environ, **environment}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["sgd", "w**2"],
            'No start values are given; give each variable one, as in: surefoot explain sgd "a**2" --at a=3.',
        ),
        (
            ["w**2", "--at", "w=1"],
            "'w**2' is not a rule; the rule comes first, as in: surefoot explain sgd \"w**2\" --at …",
        ),
        (
            ["mean(a)", "adam", "--at", "a=1,2"],
            "'mean(a)' is not a rule; the rule comes first, as in: surefoot explain adam \"mean(a)\" --at …",
        ),
        (
            ["(x-3)^2", "torch,heavy-ball", "--at", "x=0"],
            "'(x-3)^2' is not a rule; the rule comes first, as in: "
            'surefoot explain torch,heavy-ball "(x-3)^2" --at …',
        ),
        (["sgd", "w**2", "--at", "w=1", "--at", "w=2"], "w has two start values; give one."),
        (
            ["sgd", "w**2", "--at", "w=1", "--momentum", "0.9", "--option", "momentum=0.5"],
            "The option 'momentum' is given twice.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1", "--steps", "1.5"],
            "steps is '1.5'; it must be a whole number from 1 to 1000.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1", "--digits", "many"],
            "digits is 'many'; it must be a whole number from 0 to 40.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1", "--lr", "0.1,0.2,0.3", "--steps", "2"],
            "lr has 3 values, but there are 2 steps; give at most one for each step.",
        ),
        (
            ["sgd", "--at", "w=1", "--gradient", "w=1", "--lr", "0.1,0.2"],
            "lr has 2 values, but there is 1 step; give at most one for each step.",
        ),
        (["sgd", "w**2", "--at", "2w=1"], "'2w' cannot name a variable; use a plain name such as 'w'."),
        (
            ["sgd", "x**2 + y**2", "--at", "x=0, y=1,2"],
            "'x=0, y=1,2' has several variables; put semicolons between them: 'x=0; y=1,2'.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1==2"],
            "'w=1==2' has more than one =; write e.g. a=2,3 or A=[[1,2],[3,4]].",
        ),
        (["sgd", "w**2", "--at", "w"], "'w' has no value; write e.g. a=2,3 or A=[[1,2],[3,4]]."),
        (
            ["sgd", "w**2", "--at", "w=[1"],
            "The value of w, '[1', is not a list of numbers; write e.g. 2,3 or [[1,2],[3,4]].",
        ),
        (["sgd", "w**2", "--at", "w=1", "--lr", "fast"], "lr is 'fast'; it must be a number with γ ≥ 0."),
        (
            ["sgd", "w**2", "--at", "w=1", "--option", "eps"],
            "The option 'eps' is not of the form name=value, such as momentum=0.9.",
        ),
        (["sgd", "w***2", "--at", "w=1"], "f does not parse: invalid syntax.\n    w***2\n       ^"),
        (
            ["sgd", "w**2", "--at", "w=1", "--picture", "path"],
            "The picture 'path' is not of the form KIND=FILE, such as path=path.png.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1", "--picture", "path=path.gif"],
            "The picture 'path.gif' must be a .png, .pdf or .svg file.",
        ),
        (
            ["sgd", "w**2", "--at", "w=1", "--quiet"],
            "--quiet prints only where pictures are, but no picture is given; add --picture path=path.png.",
        ),
    ],
)
def test_the_command_refuses_with_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == f"surefoot: {sentence}\n"


def test_a_hyphen_makes_no_formula_of_a_rules_name() -> None:
    done = run("torch,heavy-ball", "(x-3)**2", "--at", "x=0", "--lr", "0.1")
    assert "torch and heavy_ball agree in every number." in done.stdout
    assert run("signum-", "(x-3)**2", "--at", "x=0").stderr.startswith(
        "surefoot: Unknown rule 'signum-'; did"
    )


def test_the_command_imports_no_torch() -> None:
    code = (
        "import sys; from surefoot.cli import main; "
        "main(['explain', 'torch,keras', 'x**2 + 5*y**2', '--at', 'x=2; y=1', '--lr', '0.05,0.05,0.01']); "
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"
    assert "∇f is exact, checked at each step by dual numbers.\n" in done.stdout


@pytest.mark.parametrize("form", ["markdown", "latex", "html", "json"])
def test_the_command_writes_every_form(form: str) -> None:
    done = run("sgd", "w**2", "--at", "w=1/3", "--format", form, "--exact")
    assert done.returncode == 0
    assert (
        getattr(explain("sgd", f="w**2", at={"w": "1/3"}, exact=True, autograd=False), form)()
        == done.stdout[:-1]
    )


def test_the_command_takes_gradients_options_and_pictures(tmp_path: Any) -> None:
    picture = tmp_path / "path.png"
    done = run(
        "adam", "--at", "v=1,2; w=1", "--gradient", "v=1,-0.5; w=1/3", "--gradient", "w=1",
        "--option", "betas=0.5,0.75", "--option", "eps=1/8",
    )  # fmt: skip
    assert done.stdout.startswith("Adam   γ = 0.001   β₁ = 0.5   β₂ = 0.75   ε = 0.125\n")
    done = run(
        "sgd", "x**2 + 5*y**2", "--at", "x=2; y=1", "--momentum", "0.5", "--picture", f"path={picture}"
    )
    assert done.stdout.endswith(f"Drawn: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    quiet = run("sgd", "x**2 + 5*y**2", "--at", "x=2; y=1", "--picture", f"path={picture}", "--quiet")
    assert (quiet.stdout, quiet.stderr) == (f"Drawn: {picture}\n", "")


def test_colour_only_for_terminals_that_want_it() -> None:
    import pty

    def seen(**environment: str) -> bytes:
        import os

        leader, follower = pty.openpty()
        inherited = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        command = [sys.executable, "-m", "surefoot", "explain", "sgd", "w**2", "--at", "w=1"]
        environment = {**inherited, "TERM": "xterm", **environment}
        with subprocess.Popen(command, stdout=follower, env=environment) as process:
            os.close(follower)
            output = b""
            while chunk := _read(leader):
                output += chunk
            process.wait()
        os.close(leader)
        return output

    assert b"\x1b[1m" in seen()
    assert b"\x1b[" not in seen(NO_COLOR="1")
    assert b"\x1b[" not in seen(TERM="dumb")
    assert "\x1b[" not in run("sgd", "w**2", "--at", "w=1").stdout


def _read(leader: int) -> bytes:
    import os

    try:
        return os.read(leader, 4096)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def test_no_line_is_wider_than_the_terminal_where_that_can_be() -> None:
    text = explain("sgd", **LECTURE, momentum=0.9).text(width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert re.search(r"\n +w₂ = w₁ − γ·b₂\n +=", text)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"momentum": 0.9}, "lr, whose default is 0.001 in torch and 0.01 in keras"),
        (
            {"momentum": 0.9, "lr": 0.1, "weight_decay": 0.5},
            "decay, whose default is l2 in torch and decoupled in keras",
        ),
    ],
)
def test_defaults_that_differ_are_a_reason(options: dict[str, Any], reason: str) -> None:
    (parting,) = explain(["torch", "keras"], f="w**2", at={"w": 1}, **options).partings
    assert parting.reason == f"The reason is {reason}: with equal values they would still agree here."


def test_a_narrow_terminal_gets_the_table_without_its_sources() -> None:
    e = explain("sgd", f="x**2 + 8*y**2", at={"x": 1, "y": 1}, autograd=False)
    assert max(map(len, e.text(width=60).splitlines())) <= 60
    assert "source" not in e.text(width=60)
    assert "Polyak 1964, 1987" in e.text(width=100)


def test_what_momentum_did_is_not_what_decay_did() -> None:
    given: dict[str, Any] = {"at": {"w": 1}, "gradients": [{"w": -0.1}], "lr": 0.1, "momentum": 0.9}
    assert "against the gradient" not in str(explain("sgd", **given, weight_decay=1))
    given["gradients"] = [{"w": 1}, {"w": -0.1}]
    assert "In 1 of 2 movements it carried an element against the gradient" in str(explain("sgd", **given))


def test_momentum_that_changes_is_told_as_it_was() -> None:
    def closing(momentum: Any) -> str:
        said = str(explain("sgd", f="w**2", at={"w": 1}, lr=0.1, momentum=momentum, steps=3))
        return next(line for line in said.splitlines() if "omentum" in line and "μ = " in line)

    assert closing([0.9, 0.9, 0]).startswith("What momentum did (μ = 0.9, 0): ")
    assert closing([0.1, 0.5, 0.9]).startswith("What momentum did (μ = 0.1, 0.5, 0.9): ")
    assert closing([0, 0, 0]).startswith("No momentum here (μ = 0): each step follows its own gradient")


def test_powers_that_text_has_no_letters_for() -> None:
    def f(text: str) -> str:
        return next(
            line for line in str(explain("sgd", f=text, at={"x": 2}, lr=1e-6)).splitlines() if "f =" in line
        )

    assert "x^1.5" in f("x**1.5")
    assert "²^" not in f("x**2**x")
    assert "x²" in f("x**2")


def test_latex_of_small_numbers_names_and_primes() -> None:
    said = explain("sgd", f="x**2", at={"x": 1}, lr=0.3, momentum=0.1, steps=30).latex()
    assert not re.search("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]", said)
    assert re.search(r"10\$\^\{-\d+\}\$", said)
    said = explain("sgd", f="alpha*x1**2", at={"alpha": 1, "x1": 2}, lr=0.1, maximize=True).latex()
    assert "′" not in said
    assert r"\mathrm{alpha}" not in said
    assert r"\mathrm{x1}" not in said
    assert r"\alpha" in said


def test_f_has_as_many_digits_as_show_its_first_movement() -> None:
    start = {"w": [1, 2], "y": 1, "x": [3, 4]}
    said = str(explain("sgd", f="log(1+exp(-y*(w@x)))", at=start, lr=0.1))
    assert "f(w₀) = 0.0000167016" in said
    assert "f(w₁) = 0.0000166973, was 0.0000167016" in said
    assert "f(w₁) = 0.6400, was 1" in str(explain("sgd", f="w**2", at={"w": 1}, lr=0.1))
    assert "f(w₁) = 1.00, was 1.00" in str(explain("sgd", f="w**2", at={"w": 1}, lr=1e-6, digits=2))


def test_what_has_no_derivative_is_said() -> None:
    with pytest.raises(InputError, match="has no derivative that can be written down everywhere"):
        explain("sgd", f="0**x", at={"x": 2}, lr=0.1)


def test_the_picture_over_time_is_of_a_buffer() -> None:
    panels = explain("adam", f="x**2", at={"x": 1}, lr=0.1, steps=5).plot("over-time").axes
    assert "step" not in [panel.get_ylabel() for panel in panels]


@pytest.mark.parametrize("name", ["adam", "adamax", "rmsprop", "torch", "lion", "signsgd", "keras"])
def test_what_is_kept_without_momentum_is_told(name: str) -> None:
    off = {"momentum" if name in ("rmsprop", "torch", "signsgd", "keras") else "beta1": 0}
    said = explain(name, at={"w": 1}, gradients=[{"w": 4}, {"w": 1}], lr=0.1, **off)
    other = explain(name, at={"w": 1}, gradients=[{"w": 1}, {"w": 1}], lr=0.1, **off)
    second = [e.traces[0].steps[1].w["w"] - e.traces[0].steps[0].w["w"] for e in (said, other)]
    assert ("forgets it" in said.closing) == (second[0] == second[1])


@pytest.mark.parametrize(
    ("rule", "options", "sentence"),
    [
        (
            "rmsprop",
            {"alpha": 2},
            "At step 1: square root of -0.111111, which is negative, in rule 'rmsprop'.",
        ),
        ("sgd", {"f": "(-2)**w", "at": {"w": 2}}, "At step 1: ∂f/∂w is not real: f has a power, root or"),
    ],
)
def test_what_is_not_real_is_said(rule: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        explain(rule, **{"f": "w/3", "at": {"w": 1}, **options})
    assert str(error.value).startswith(sentence)


def test_a_variance_that_rounds_below_0_is_0() -> None:
    e = explain("rmsprop", f="w/3", at={"w": 1}, alpha=0.1, centered=True, steps=70, autograd=False)
    assert e.traces[0].steps[-1].w["w"] < -1e7  # 0.01·(1/3)/10⁻⁸ a step, once the variance is gone


def test_numbers_beyond_floats_have_every_form() -> None:
    e = explain("sgd", f="w**4", at={"w": 0.123}, steps=6, exact=True, autograd=False)
    value = e.data()["rules"][0]["steps"][-1]["f"]
    assert len(value) > 4300
    above, below = (sum(int(d) for d in part) for part in value.split("/"))
    assert Fraction(above, below) > 0
    e = explain(["torch", "lion"], f="w**3", at={"w": 1e200}, autograd=True)
    assert "first differ at step 1, in w: −3e+397 and 1e+200." in str(e)
    assert e.checks.endswith("by dual numbers; torch's autograd has no floats for it in 2 of 2 steps.")
    assert "−1e+397 and 0.333233" in str(explain(["torch", "lion"], f="1e400*w", at={"w": "1/3"}))
    assert "γ = 10⁻⁴⁰⁰" in str(explain("sgd", f="w**2", at={"w": 1}, lr="1e-400"))


def test_a_frame_has_infinity_beyond_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: {"rows": rows}))
    frame = explain("sgd", f="w**3", at={"w": 1e200}, autograd=False).frame()
    assert (frame["rows"][0]["w"], frame["f"][0]) == (-math.inf, -math.inf)


@pytest.mark.parametrize("start", ["3000", "1e6"])
def test_what_underflows_ends(start: str) -> None:
    e = explain("sgd", f="exp(-w**2)", at={"w": start}, lr=0.1)
    assert e.traces[0].steps[-1].w["w"] == int(float(start))
    e = explain("sgd", f="sum(exp(a)*b)", at={"a": [1, 0.1], "b": [1e20, 3]}, lr=0.1)
    assert float(e.traces[0].steps[-1].w["a"][1]) == pytest.approx(-0.4608, abs=1e-4)


def test_a_gradient_at_a_corner_is_said() -> None:
    e = explain("sgd", f="abs(w) + w**2", at={"w": 0}, lr=0.1, steps=1, autograd=False)
    assert "  new: abs(w) has a kink here, and so no slope; 0 is used, as in torch" in str(e)
    assert r"\emph{New:} abs(w) has a kink here" in e.latex()
    assert "corner" not in str(explain("sgd", f="abs(w) + w**2", at={"w": 1}, lr=0.1, autograd=False))


def test_climbing_is_not_told_as_descent() -> None:
    said = str(explain("sgd", f="-w**2", at={"w": 1}, lr=0.1, maximize=True))
    assert "The rule maximizes f" in said
    assert "no minimum" not in said


@pytest.mark.parametrize(
    ("f", "at", "said"),
    [
        (
            "x1**2 + x_1",
            {"x1": 1, "x_1": 2},
            "x_1 and x1 would be written the same; rename one of them",
        ),
        (
            "sum(x)*x2",
            {"x": [1, 2], "x2": 1},
            "x2 and element 2 of x would be written the same; rename one of",
        ),
        ("γ**2", {"γ": 1}, "γ stands for lr here; give the variable another name, such as w."),
        (
            "\N{MICRO SIGN}**2",
            {"\N{MICRO SIGN}": 1},
            "μ stands for momentum here; give the variable another name, such as w.",
        ),
        ("μ**2", {"μ": 1}, "μ stands for momentum here; give the variable another name, such as w."),
    ],
)
def test_variables_that_would_be_taken_for_others(f: str, at: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        explain("sgd", f=f, at=at, momentum=0.5)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["ema", "torch"])
def test_what_is_known_of_a_rule_is_not_said_of_ones_own_of_its_name(name: str) -> None:
    @rule(name=name)
    def own(w: Any, g: Any, b: Any = 0, *, lr: Any, momentum: Any = 0.5) -> Any:
        b = momentum * b + g
        return w - lr * b, b

    done = explain(own, f="x**2", at={"x": 1}, lr=1.9, momentum=0.5, steps=1, autograd=False)
    assert done.theory[1].startswith("Unstable: in the end each step multiplies the error by 2.057")
    assert "torch.optim" not in done.closing
    idle = explain(own, f="x**2", at={"x": 1}, lr=0.1, momentum=0, steps=1, autograd=False)
    assert idle.closing.startswith("No momentum here (μ = 0)")


def test_a_rule_with_a_decay_of_its_own() -> None:
    @rule
    def fade(w: Any, g: Any, *, lr: Any, decay: Any = 0.5) -> Any:
        return w - lr * (g + decay * w)

    done = explain(fade, f="x**2", at={"x": 1}, lr=0.1, decay=0.25, steps=1, autograd=False)
    assert "decay = 0.25" in str(done)
    assert done.traces[0].steps[0].w["x"] == Fraction("0.775")
    assert done.plot("impulse").axes


def test_a_rule_without_lr() -> None:
    @rule
    def own(w: Any, g: Any, *, rate: Any) -> Any:
        return w - rate * g

    done = explain(own, f="x**2", at={"x": 1}, rate=0.1, steps=1, autograd=False)
    assert done.theory[1].startswith("Stable")
    with pytest.raises(InputError, match="but no lr, and a response is given in units of lr"):
        done.plot("impulse")


def test_betas_are_for_the_rules_that_have_them() -> None:
    given: dict[str, Any] = {"f": "w**2", "at": {"w": 1}, "lr": 0.1, "steps": 1, "autograd": False}
    both = explain(["adam", "torch"], betas=(0.5, 0.9), **given)
    assert both.traces[0].steps[0].w == explain("adam", beta1=0.5, beta2=0.9, **given).traces[0].steps[0].w
    assert float(both.traces[1].steps[0].w["w"]) == 0.8


def test_an_exponent_that_is_no_number_leaves_the_theory_out() -> None:
    done = explain("sgd", f="x**(2 + 0*y)", at={"x": 1, "y": 1}, lr=0.1, steps=1, autograd=False)
    assert done.theory == ()
    assert float(done.traces[0].steps[0].w["x"]) == pytest.approx(0.8)


def test_a_variable_is_no_step_of_w_and_keeps_its_accent_in_latex() -> None:
    text = explain("sgd", f="w_1**2 + é**2 + x3", at={"w_1": 1, "é": 2, "x3": 1}, steps=1).latex()
    assert r"$w = \mathit{w1}$" in text
    assert "é" in text
    assert "x_{3}" in text


@pytest.mark.parametrize("option", ["rule=sgd", "optimizer=x", "f=w"])
def test_what_is_no_option_of_a_rule(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "sgd", "w**2", "--at", "w=1", "--option", option]) == 2
    name = option.partition("=")[0]
    assert capsys.readouterr().err == (
        f"surefoot: {name} cannot be given with --option; give it as --{name}.\n"
    )


@pytest.mark.parametrize(
    ("f", "at", "options"),
    [
        ("sum(ab**2) + ab1**2", {"ab": [2, 3], "ab1": 3}, {}),
        ("sum(w**2) + w1", {"w": [1, 2], "w1": 3}, {}),
        ("λ**2", {"λ": 2}, {}),
    ],
)
def test_variables_that_are_taken_for_no_others(f: str, at: dict[str, Any], options: dict[str, Any]) -> None:
    assert explain("sgd", f=f, at=at, lr=0.25, steps=1, **options).latex()


def test_numbers_whose_squares_no_float_holds() -> None:
    assert explain("sgd", f="1e90*w**2", at={"w": 1}, lr=1e90, momentum=0.5, steps=1)


def test_several_rules_as_the_command_line_names_them() -> None:
    given: dict[str, Any] = {"f": "w**2", "at": {"w": 1}, "lr": 0.1, "momentum": 0.9, "autograd": False}
    assert explain("torch, keras", **given).text() == explain(["torch", "keras"], **given).text()


def test_what_an_explanation_holds_is_short_at_a_prompt() -> None:
    at = {"a": [2, 3, 4, 5], "b": 1}
    e = explain(["torch", "keras"], f="sum(a**2) + b/3", at=at, lr=[0.1, 0.2], momentum=0.5, autograd=False)
    step = e.worked[0].steps[0]
    shown = [e.script, e.problem, e.worked[0], step, step.tensors[1], step.tensors[1].lines[0], *e.partings]
    shown.append(e.partings[0].mismatch)
    assert [repr(thing) for thing in [*shown, e.traces[0], e.traces[0].steps[0]]] == [
        "<Script: 2 steps from a = (2, 3, 4, …), b = 1>",
        "<Problem f = sum(a**2) + b/3, a function of a, b>",
        "<Worked torch: 2 steps>",
        "<WorkedStep 1: a, b>",
        "<Tensor b: gradient, momentum_buffer, w>",
        "<Line: gradient of step 1 = 0.333333>",
        "<Parting: torch and keras differ at step 2 in a[0]>",
        "<Mismatch at step 2, a[0]: 0.76, not 0.56>",
        "<Trace of torch: after 2 steps a = (0.56, 0.84, 1.12, …), b = 0.866667>",
        "<Moment: a = (1.6, 2.4, 3.2, …), b = 0.966667>",
    ]


def test_a_run_that_leaves_what_a_float_holds() -> None:
    e = explain("sgd", f="x**2", at={"x": 1}, lr=1e110, momentum=0.5, steps=3, autograd=False)
    assert e.closing.startswith("What momentum did (μ = 0.5): after 3 steps x is beyond all bounds; f is ")
