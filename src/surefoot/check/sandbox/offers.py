"""Which optimizers a file holds, asked in a process of its own: it may hang, crash, or end its process."""

from __future__ import annotations

from surefoot.check.protocol import Signature
from surefoot.check.sandbox.sandbox import IMPORTS, Sandbox

__all__ = ["offers"]


def offers(file: str) -> list[str]:
    """The names of the optimizers that a file is examined for; see `subject.found.meant`.

    Raises:
        InputError: there is no such file, or importing it raises, hangs, or ends its process.
    """
    reader = _Reader(file)
    reader.close()
    return reader.names


class _Reader(Sandbox):
    """A process that imports a file, and examines none of its classes."""

    def _load(self) -> Signature:
        self._start()
        self.names: list[str] = self._ask(IMPORTS, ask="offers", subject=self.subject)
        return Signature(name="")
