"""Draw the pictures of the docs anew: `python scripts/pictures.py [FOLDER]`, by default docs/pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from surefoot.check.identify import identify
from surefoot.explain import explain
from surefoot.plot.impulse import impulses

BOWL = {"f": "(x**2 + 20*y**2)/2", "at": {"x": -4, "y": 1.2}, "steps": 40}


def draw(folder: Path) -> list[Path]:
    """Write each picture and return its file."""
    plain, faster = explain(**BOWL, lr=0.05), explain(**BOWL, lr=0.09)
    heavy, nesterov = (explain(**BOWL, lr=0.05, momentum=0.8, nesterov=n) for n in (False, True))
    pictures = {
        "path": plain.plot("path", faster, heavy, nesterov),
        "value": plain.plot("value", faster, heavy, nesterov),
        "over-time": heavy.plot("over-time", plain),
        "rates-classical": heavy.plot("rates", faster),
        "rates-nesterov": nesterov.plot("rates"),
        "impulse": impulses(
            {
                "plain": ("torch", {"lr": 0.1}),
                "momentum 0.9": ("torch", {"lr": 0.1, "momentum": 0.9}),
                "Nesterov 0.9": ("torch", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
                "average 0.9": ("ema", {"lr": 0.1, "momentum": 0.9}),
            }
        ),
    }
    pictures["identify"] = identify("examples/keras_momentum.py:SGD", options={"momentum": 0.9}).plot()
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in pictures]


if __name__ == "__main__":
    print(*draw(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")), sep="\n")
