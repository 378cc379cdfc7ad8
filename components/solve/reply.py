"""What follows the prompt in an attempt: its generations and what was put in between them, as tokens and as marks for training.

Immutable: whoever comes back to an earlier one only has to have kept it.
"""

from dataclasses import dataclass

from components.core.types import Inserted
from components.lib.engine.tokens import NOTHING, Tokens


@dataclass(frozen=True, slots=True)
class Reply:
    """`inserted` are the stretches of its text that were put in, and the seams."""

    tokens: Tokens = NOTHING
    inserted: tuple[Inserted, ...] = ()

    def generated(self, more: Tokens) -> "Reply":
        """With one generation more."""
        at = len(self.tokens.text)
        marked = self.inserted[-1].end if self.inserted else 0
        seam = (Inserted(begin=at, end=at, output=False),) if more.text and marked < at else ()
        return Reply(self.tokens + more, self.inserted + seam)

    def put_in(self, more: Tokens, *, output: bool) -> "Reply":
        """With this after it. `output`: code printed it."""
        begin = len(self.tokens.text)
        return Reply(self.tokens + more, (*self.inserted, Inserted(begin=begin, end=begin + len(more.text), output=output)))
