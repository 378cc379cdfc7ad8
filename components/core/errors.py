"""The errors that are meant for the user's eyes: what they wrote or lack, and what failed on the machine."""


class UserError(ValueError):
    """Something the user wrote or lacks: the message names the file, the key or row, and the cure.

    The runner prints it as it stands, without a stack. Everything else that rises is a fault of ours and keeps its stack.
    """


class MachineError(RuntimeError):
    """Something that the work stands on failed: a server, a sandbox. The message names it, says how it failed and where to look.

    Printed like a UserError. Nothing is wrong with what was asked: the same command goes on where it stopped.
    """
