"""`surefoot gradients`: is autograd's gradient the slope of the loss?"""

from __future__ import annotations

from surefoot.cli.kinds import Flag, Whole
from surefoot.cli.streams import width
from surefoot.errors import InputError, headline
from surefoot.loading import before_torch

__all__ = ["gradients"]


def gradients(
    make: str,
    /,
    *,
    seed: Whole = 0,
    each: Whole = 100,
    directions: Whole = 4,
    samples: Whole = 12,
    no_inputs: Flag = False,
    json: Flag = False,
) -> int:
    """Compare a model's gradients from autograd with central differences, parameter by parameter, in float64.

    For example:
      surefoot gradients homework.py:make

    Exit code 0: all are right; 1: some are wrong or cannot be determined; 2: it could not be run.

    Parameters
    ----------
    make
        file.py:function or module:function; returns (model, loss, (*inputs, target)) or (function, inputs).
    seed
        Seed of the random directions and of dropout.
    each
        Check parameters with up to this many elements element by element.
    directions
        Number of random directions along which larger parameters are checked.
    samples
        Number of single elements of larger parameters that are also checked.
    no_inputs
        Check only parameters, not inputs.
    json
        Write the report as JSON.
    """
    before_torch()
    from surefoot.check.gradients import check_gradients
    from surefoot.check.subject.load import function

    try:
        made = function(make)()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{make}() raised {headline(error)}.") from error
    if isinstance(made, tuple) and len(made) == 2 and callable(made[0]):
        made = made[0], None, made[1]
    if not (isinstance(made, tuple) and len(made) == 3):
        what = f"a tuple of {len(made)}" if isinstance(made, tuple) else f"one {type(made).__name__}"
        raise InputError(f"{make}() returned {what}; it must return (model, loss, batch).")
    model, loss, batch = made
    report = check_gradients(
        model,
        loss,
        batch,
        seed=seed,
        each=each,
        directions=directions,
        samples=samples,
        inputs=not no_inputs,
    )
    if json:
        import json as written

        print(written.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(report.text(width()))
    return 0 if report.ok else 1
