"""`surefoot identify`: which rule an optimizer follows, read off from what it does."""

from __future__ import annotations

from surefoot.cli.kinds import File, Flag, Options
from surefoot.cli.streams import width

__all__ = ["identify"]


def identify(
    optimizer: str,
    /,
    *,
    option: Options = None,
    plot: File = None,
    json: Flag = False,
    sandbox: bool | None = None,
) -> int:
    """Find out which rule a torch optimizer follows: its exact momentum, weight decay and Nesterov form.

    For example:
      surefoot identify homework.py:SGD --option momentum=0.9
      surefoot identify torch.optim:SGD --option momentum=0.9 --plot impulse.png

    Exit code 0: a known rule fits; 1: none does, or not with all its options; 2: it could not be run.

    Parameters
    ----------
    optimizer
        file.py:Class or package.module:Class.
    option
        A constructor option; may be repeated. lr is 0.25 unless given.
    plot
        Plot its impulse response next to those of known rules in this file: .png, .pdf or .svg.
    json
        Write the result as JSON.
    sandbox
        Run the optimizer in its own process, if the system can; --no-sandbox is for debugging.
    """
    from surefoot.check.identify import identify
    from surefoot.options import parse_options
    from surefoot.plot.file import check_picture, save_picture

    if plot is not None:
        check_picture(plot)
    found = identify(optimizer, options=parse_options(option or []), sandbox=sandbox)
    if plot is not None:
        save_picture(found.plot(), plot)
    if json:
        import json as written

        print(written.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(found.text(width()))
        if plot is not None:
            print(f"\nPlotted: {plot}")
    return 0 if found.fits and not found.unused else 1
