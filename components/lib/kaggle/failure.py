"""How a run can fail, in Kaggle's seven names, and which name a broken call has.

`UNSPECIFIED` is the protocol's zero: no rule of it was broken. We use it for the one end that Kaggle's gateway does not know of, the
notebook's own time being up (there the notebook is ended from outside).
"""

import enum

NO_LISTENER = "No listener for"
RAISED = "Exception calling application"
NEVER_STARTED = "Failed to connect to server after waiting"


class ErrorName(enum.IntEnum):
    """Kaggle's names and numbers."""

    UNSPECIFIED = 0
    SERVER_NEVER_STARTED = 1
    SERVER_CONNECTION_FAILED = 2
    SERVER_RAISED_EXCEPTION = 3
    SERVER_MISSING_ENDPOINT = 4
    GATEWAY_RAISED_EXCEPTION = 5
    INVALID_SUBMISSION = 6


class Failure(Exception):
    """A run, or one question of it, failed."""

    def __init__(self, name: ErrorName, details: str, late: bool = False) -> None:
        super().__init__(f"{name.name}: {details}")
        self.name, self.details, self.late = name, details, late


def broken_call(details: str) -> Failure:
    """The failure that a call's error text tells."""
    if NEVER_STARTED in details:
        return Failure(ErrorName.SERVER_NEVER_STARTED, details)
    if NO_LISTENER in details:
        return Failure(ErrorName.SERVER_MISSING_ENDPOINT, details)
    if RAISED in details:
        return Failure(ErrorName.SERVER_RAISED_EXCEPTION, details)
    return Failure(ErrorName.SERVER_CONNECTION_FAILED, details)


def late(limit_s: float) -> Failure:
    """A response that came too late, or not at all: Kaggle's gateway counts it as a broken connection."""
    return Failure(ErrorName.SERVER_CONNECTION_FAILED, f"no response within {limit_s:g} s", late=True)
