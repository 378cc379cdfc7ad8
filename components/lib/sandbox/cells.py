"""Inside a session: runs cells one after the other in one namespace and sends back what they printed.

Covered: the last expression's repr as in a notebook, plain one-line errors, output cut at the source, seeded random generators.
Not covered: walls (isolation.py) and clocks (zygote.py). Everything here shares a process with hostile code, so the caller believes
nothing it sends but its length and shape. Standard library only.
"""

import ast
import builtins
import io
import random
import signal
import socket
import sys
import types
import warnings
from typing import Any

import wire


class Output(io.TextIOBase):
    """Standard output and error at once: keeps the first `room` characters of a cell and counts nothing else."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, room: int) -> None:
        self._room, self._pieces, self.cut = room, list[str](), False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        kept = text[: self._room]
        if kept:
            self._pieces.append(kept)
            self._room -= len(kept)
        self.cut = self.cut or len(kept) < len(text)
        return len(text)

    def text(self) -> str:
        return "".join(self._pieces)


def serve(sock: socket.socket, seed: int, standing: list[str]) -> None:
    """Answers cells until the other end is closed."""
    module, output = types.ModuleType("__main__"), Output()
    sys.modules["__main__"], sys.argv = module, [""]
    module.__dict__["__builtins__"] = builtins
    seed_generators(seed)
    warnings.showwarning = _warn  # type: ignore[assignment]
    sock.sendall(wire.pack({"ready": standing}))
    while True:
        cell = wire.receive(sock)
        sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = output  # type: ignore[assignment, misc]
        output.begin(cell["room"])
        status = run(cell["code"], module.__dict__, output)
        sock.sendall(wire.pack({"cell": cell["cell"], "status": status, "output": output.text(), "cut": output.cut}))


def run(code: str, space: dict[str, Any], output: Output) -> str:
    """One cell: "ok" or "error". Interrupts reach the cell alone, never the lines around it."""
    status = "error"
    try:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                _execute(code, space, output)
                status = "ok"
            except SystemExit as left:
                if left.code is None or left.code == 0:
                    status = "ok"
                else:
                    output.write(f"SystemExit: {left.code}\n")
            except KeyboardInterrupt:
                pass  # the clock's; the caller says so in its own words
            except BaseException as error:
                output.write(describe(error) + "\n")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException as error:  # an error whose own text fails, or an interrupt between two lines above
        output.write(f"{type(error).__name__}\n")
    return status


def _execute(code: str, space: dict[str, Any], output: Output) -> None:
    tree = ast.parse(code, "<cell>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), space)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), space)
        if value is not None:
            output.write(f"{value!r}\n")


def describe(error: BaseException) -> str:
    """The last line of a traceback: no paths, no addresses, the same on every machine."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    text = str(error)
    return f"{name}: {text}" if text else name


def seed_generators(seed: int) -> None:
    """Seeds every generator that mathematical code is likely to use without a seed of its own."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        children, make = numpy.random.SeedSequence(seed % 2**64), numpy.random.default_rng
        numpy.random.seed(seed % 2**32)

        def default_rng(seed: Any = None) -> Any:
            return make(children.spawn(1)[0] if seed is None else seed)

        numpy.random.default_rng = default_rng
    if symbols := sys.modules.get("sympy"):
        symbols.core.random.seed(f"sympy {seed}")  # the bare seed would give the same numbers as random


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    sys.stderr.write(f"{category.__name__}: {message}\n")
