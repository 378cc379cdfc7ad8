"""What a sandbox is: sessions that run model-written code, which is hostile, and keep variables between cells.

Failure of the code is data (a CodeRun); failure of the sandbox is a SandboxError.
"""

from typing import Literal, NamedTuple, Protocol, Self

from components.core.errors import MachineError
from components.core.types import CodeRun

Isolation = Literal["strong", "confined", "weak"]


class SandboxError(MachineError):
    """The sandbox itself failed or cannot keep its guarantees: names the guarantee, the missing layer and the cure."""


class OutputForm(NamedTuple):
    """How a cell's output is shown: as the model that reads it was trained."""

    traceback: bool = False
    """Whether an error comes with the lines of code that led to it, as NeMo-Skills shows it; else as its last line."""
    tail: bool = False
    """Whether of a long output head and tail are shown, and how much is left out; else its head, as NeMo-Skills does."""


PLAIN = OutputForm()


class Session(Protocol):
    """One candidate's interpreter: variables live from cell to cell."""

    async def run(self, code: str) -> CodeRun:
        """Runs one cell within the limits. Cancelling kills the session."""
        ...

    async def close(self) -> None: ...


class Sandbox(Protocol):
    """Opened as an async context; probes its guarantees by attack on entry and refuses where one fails."""

    isolation: Isolation

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def session(self, seed: int, continues: bool = False, form: OutputForm = PLAIN) -> Session:
        """A fresh session whose random generators are seeded with `seed`. `continues`: earlier cells ran elsewhere, and it says so."""
        ...
