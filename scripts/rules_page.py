"""Write docs/rules.md: every rule's formula, read off the rule itself. Run it after a change of a rule."""

from __future__ import annotations

from pathlib import Path

from surefoot.rules import DECAYS, RULES, SGD_FAMILY, Hyper, Rule, get
from surefoot.rules.hypers import FRAME
from surefoot.rules.sgd import CLASSICAL

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

CLASSICAL_NAMES = (CLASSICAL.name, *CLASSICAL.aliases)

TOP = """\
# Rules

Each update rule of surefoot is written once, as a pure function. The formulas below are not typed by hand:
they are generated from the code, so what you see is what runs (`rule.latex()`, `rule.text()`).

$w$ is a parameter, $g$ its gradient, $d$ the gradient with weight decay, $\\gamma$ the learning rate,
$\\mu$ momentum, $\\tau$ dampening, $\\lambda$ weight decay; $b$ or $v$ is the buffer and $u$ what the
step uses. An index $t$ is this step, $t-1$ the one before; $b_1 = \\ldots$ applies at a parameter's
first gradient, whichever step that is. Letters stand for numbers that are not 0: without momentum `torch`
and `mlx` step differently, as noted there, and `rule.text(momentum=0)` shows what runs then.

The adaptive rules have further letters: $\\beta_1, \\beta_2$ are the coefficients of averages, $m$ and
$v$ the averages of gradients and of their squares, $\\varepsilon$ a small number that keeps a quotient
finite, and in `adadelta` $x$ the average of squared steps; `adagrad`'s $\\tau$ is its accumulator's initial
value. Each rule's table lists its letters. [Convert](convert.md) converts the hyperparameters of one rule to
those of another.

## At a glance

"""

IDENTITIES = """\
## When two rules are the same

At μ = 0 all but `lion` and `signsgd` are plain gradient descent. For a μ that is not 0, and does not
become 0, the following hold exactly, and where two rules differ they differ by exactly the amount given;
`tests/rules/test_identities.py` checks each in rational arithmetic.

- `optax` ≡ `keras`, with Nesterov or without, with the same `decay` (their defaults differ), while γ is
  constant and the buffer starts at 0. At a step that uses a new γ they differ by μ b (γₜ − γₜ₋₁), with
  Nesterov by μ² b (γₜ − γₜ₋₁), where b is the buffer before the step; with decay (d) by 1 − γₜλ times
  that. If only μ changes, they stay the same.
- `torch` ≡ `mlx` ≡ `optax` when τ = 0. Otherwise the first step of `mlx` is 1 − τ times that
  of `torch`, with Nesterov (1 + μ(1 − τ)) / (1 + μ) times.
- `ema` ≡ `optax` with lr γ (1 − μ), for constant μ and decay (a): only the absolute size of a step
  distinguishes them.
- `ema_first` ≡ `torch` with τ = μ, without Nesterov.
- `sutskever`, seen at its lookahead point w + μv, is `keras` with Nesterov, for constant μ and decay (a).
- `muon` ≡ `ema` with Nesterov and the same decay.
- `heavy_ball` ≡ `keras` with decay (a), unless w is changed from outside between steps: then they differ
  by μ times that change.
- Decay (b) ≡ (c) for every rule but `heavy_ball`, whose (c) is its (a). Decay (d) also shrinks the step
  just taken: from the same w, state and gradient, if w goes to w + s without decay, its result
  is that of (b) − γλs. For `heavy_ball` it is that + μγλw, from its second step on.
- A rule's gain on the first gradient, with λ = 0: `torch`, `optax`, `keras`, `sutskever`, `heavy_ball`,
  `ema_first`, `ema_corrected` 1; `mlx` 1 − τ; `ema` 1 − μ; `muon` 1 − μ²; with Nesterov `torch`,
  `optax`, `keras` 1 + μ; `chainer_nag` 1 + μ + μ²; `lion` 1 − β₁, before the sign.

All others diverge within two steps. Without `signsgd`, and `muon`, which is `ema` with Nesterov, the SGD
family has 17 rules, counting those with Nesterov twice; times 6 places for the decay, less
one (the heavy ball's (c) is its (a)), these are 101 variants. A run of two steps, with another γ in the
second, has 83 different outcomes among them (`tests/rules/test_variants.py`); those that share an outcome
are the same by the identities above.

## Your own rule

A rule is a function of `(w, g, slots…, *, hyperparameters…)` that returns the new w, followed by the new
value of each slot:

```pycon
>>> import surefoot
>>> @surefoot.rule
... def halfway(w, g, b=0, *, lr=0.1, momentum=0.9):
...     \"\"\"Momentum, halfway to the plain gradient.\"\"\"
...     b = momentum * b + g
...     return w - lr * (b + g) / 2, b
>>> print(halfway.text())
gₜ = ∇f(wₜ₋₁)
dₜ = gₜ + λ wₜ₋₁
b₀ = 0
bₜ = μ bₜ₋₁ + dₜ
wₜ = wₜ₋₁ − 0.5 γ (μ bₜ₋₁ + 2 dₜ)

```

Numbers in its code are exact decimals: 0.1 is 1/10. Roots and the like come from `surefoot.rules.numbers`:
`sqrt`, `sign`, `maximum`, `select`; a rule with roots requires `@surefoot.rule(exact=False)`. It may
branch on its step count, and explanations show the branch of each step.

Weight decay and `maximize` are added to it. In Python it can be used wherever a rule's name can
(`surefoot.explain(halfway, …)`), on the command line as `mine.py:halfway`: `surefoot explain
mine.py:halfway "w**2" --at w=1` works out its steps, and `surefoot check mine.py:Halfway --rule
mine.py:halfway` compares an optimizer with it. [The reference](api/index.md#surefoot.rules.define.rule)
describes its other options.

"""


def glance(rules: list[Rule]) -> str:
    """One line per rule."""
    lines = ["| rule | what it is | also called |", "|---|---|---|"]
    for r in rules:
        aliases = ", ".join(f"`{x}`" for x in r.aliases if x not in CLASSICAL_NAMES)
        lines.append(
            f"| [`{r.name}`](#{r.name}) | {r.title}{' (a known mistake)' if r.mistake else ''} | {aliases} |"
        )
        if r.name == "keras":
            aliases = ", ".join(f"`{x}`" for x in CLASSICAL.aliases)
            lines.append(f"| [`{CLASSICAL.name}`](#keras) | {CLASSICAL.title} | {aliases} |")
    return "\n".join(lines) + "\n\n"


def formula(r: Rule, **values: object) -> str:
    """The formula as mathematics, and folded away as text."""
    text = "\n".join("    " + line for line in r.text(**values).splitlines())
    return f'\\[\n{r.latex(**values)}\n\\]\n\n??? note "As text"\n\n    ```text\n{text}\n    ```\n\n'


WITHOUT_MOMENTUM = """\
With μ = 0 there is no buffer, and τ has no effect: wₜ = wₜ₋₁ − γ dₜ.

"""
ONLY_THE_FORMULA = {
    "torch": """\
`torch.optim.SGD` itself refuses `nesterov` with dampening, or without momentum; the formula allows both.

""",
    "mlx": """\
`mlx.optimizers.SGD` itself refuses `nesterov` with dampening, or without momentum, and treats a dampening
below 0 as 0; the formula allows all of these.

""",
}

TABLE = "| hyperparameter | letter | default | domain | meaning |\n|---|---|---|---|---|\n"


def row(x: Hyper) -> str:
    """A hyperparameter as a line of the table."""
    shown = "" if x.default is None else f"`{x.default}`"
    return f"| `{x.name}` | {'' if x.choices else x.letter} | {shown} | {x.domain} | {x.meaning} |\n"


def section(r: Rule) -> str:
    """All about one rule."""
    parts = [f"### `{r.name}`: {r.title} {{ #{r.name} }}\n\nSource: {r.source}.\n\n"]
    if r.mistake:
        parts.append(f'!!! warning "A known mistake"\n\n    {r.mistake[0].upper()}{r.mistake[1:]}.\n\n')
    if r.name == "keras":
        names = ", ".join(f"`{x}`" for x in CLASSICAL_NAMES)
        parts.append(
            f"The names {names} mean the same rule, but with `decay` `{CLASSICAL.hyper().decay}` by default: "
        )
        parts.append("these add weight decay to the gradient.\n\n")
    parts.append(formula(r))
    for x in r.hypers:
        if x.choices == (False, True) and x.name != "maximize" and not x.default:
            parts.append(f"With `{x.name}`:\n\n" + formula(r, **{x.name: True}))
    if r.name in ONLY_THE_FORMULA:
        parts += [WITHOUT_MOMENTUM, ONLY_THE_FORMULA[r.name]]
    parts.append(TABLE)
    parts += [row(x) for x in r.hypers if x not in FRAME]
    kept = ", ".join(f"`{x.name}` ({x.letter})" + f", {x.meaning}" * bool(x.meaning) for x in r.slots)
    kept = kept or "nothing"
    return "".join(parts) + f"\nKept between steps: {kept}.\n\n"


def common() -> str:
    """What every rule takes, and the six places for weight decay, on one rule."""
    parts = ["## What every rule takes\n\n", TABLE, *map(row, FRAME), "\nWeight decay, on `keras`:\n\n"]
    for decay, meaning in DECAYS.items():
        parts.append(f"**`{decay}`**: {meaning}\n\n" + formula(get("keras"), decay=decay))
    return "".join(parts)


def page() -> str:
    """The whole page."""
    others = [r for r in RULES.values() if r not in SGD_FAMILY]
    parts = [TOP, glance(list(RULES.values())), IDENTITIES, common(), "## The SGD family\n\n"]
    parts += [section(r) for r in SGD_FAMILY]
    parts += ["## Adaptive rules\n\n", *(section(r) for r in others)]
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
