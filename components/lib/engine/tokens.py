"""Text that was tokenised once: it goes on as ids, and nobody tokenises it again.

Pieces (a prompt, a generation, an output that was put in) are joined as ids. Where two meet, `>` and a line feed stay two tokens, though
the text as a whole would make one of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text and its ids; engines that only play known texts leave `ids` empty."""

    text: str
    ids: tuple[int, ...] = ()

    def __add__(self, after: "Tokens") -> "Tokens":
        return Tokens(self.text + after.text, self.ids + after.ids)


NOTHING = Tokens("")
