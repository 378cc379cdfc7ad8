"""An attempt that is made to write a program at once: its reply is begun for it, and it is over when the program ran."""

from components.solve.attempt import AttemptParams


def opening(params: AttemptParams) -> str:
    """What opens a call in the syntax of this run."""
    opened = f"{params.syntax.begin}{params.syntax.head}"
    return opened if opened.endswith("\n") else opened + "\n"


def one_program(params: AttemptParams, temperature: float | None = None) -> AttemptParams:
    """The same parameters, for attempts that end with their first program."""
    sampling = params.sampling if temperature is None else params.sampling._replace(temperature=temperature)
    return params._replace(stop_conditions=(*params.stop_conditions, "ran"), sampling=sampling)
