"""The one error that is meant for the user's eyes."""


class UserError(ValueError):
    """Something the user wrote or lacks: the message names the file, the key or row, and the cure.

    The runner prints it as it stands, without a stack. Everything else that rises is a fault of ours and keeps its stack.
    """
