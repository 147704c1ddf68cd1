"""What all tests share: no display, few threads, and one example budget for hypothesis."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

settings.register_profile("surefoot", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("surefoot")
