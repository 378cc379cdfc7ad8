"""An attempt that is made to write a program at once: its reply is begun for it, and it is over when the program ran."""

from components.solve.attempt import Manner


def opening(manner: Manner) -> str:
    """What opens a call in the syntax of this sitting."""
    opened = f"{manner.syntax.begin}{manner.syntax.head}"
    return opened if opened.endswith("\n") else opened + "\n"


def one_program(manner: Manner, temperature: float | None = None) -> Manner:
    """The same manner, for attempts that end with their first program."""
    sampling = manner.sampling if temperature is None else manner.sampling._replace(temperature=temperature)
    return manner._replace(ends=(*manner.ends, "ran"), sampling=sampling)
