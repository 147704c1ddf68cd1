"""What all tests share: no display, few threads, and one example budget for hypothesis."""

import gc
import os

os.environ.setdefault("MPLBACKEND", "Agg")
# threads of two processes that share the cores wait for each other: 20 times slower than one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")
# pytest imports readline, which says 80 to all processes that it starts: lines would be shorter there
os.environ.pop("COLUMNS", None)
os.unsetenv("COLUMNS")

from hypothesis import given, settings
from hypothesis import strategies as st

# not to be looked through for doctests: of these wrong optimizers one makes torch.allclose always true
collect_ignore = ["mutants"]

settings.register_profile("surefoot", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("surefoot")


def pytest_collection_finish() -> None:
    """Leave what importing has made out of all collections of garbage: a twentieth of the tests' time."""
    given(st.none())(
        lambda _: None
    )()  # hypothesis looks who holds its random state, which a frozen one hides
    gc.freeze()
