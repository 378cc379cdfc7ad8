"""Inside a session: runs cells one after the other in one namespace and sends back what they printed.

Covered: the last expression's repr as in a notebook, an indented cell as IPython takes it, errors as their last line or with the cell's
lines that led to them, output cut at the source, seeded random generators, integers of any number of digits.
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
import textwrap
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import wire


class Output(io.TextIOBase):
    """Standard output and error at once: keeps a cell's first `room` characters and of the rest the last `tail_room`, counts the others."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.begin(0, 0)

    def begin(self, room: int, tail_room: int) -> None:
        self._room, self._tail_room, self._pieces = room, tail_room, list[str]()
        self._last, self._num_last, self.dropped = list[str](), 0, 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        kept = text[: self._room]
        if kept:
            self._pieces.append(kept)
            self._room -= len(kept)
        if len(kept) < len(text):
            last = text[max(len(kept), len(text) - self._tail_room) :]
            self.dropped += len(text) - len(kept) - len(last)
            self._last.append(last)
            self._num_last += len(last)
            if self._num_last > 2 * self._tail_room:
                self.tail()
        return len(text)

    def text(self) -> str:
        return "".join(self._pieces)

    def tail(self) -> str:
        """What is kept of the end; forgets what came before it."""
        whole = "".join(self._last)
        over = max(0, len(whole) - self._tail_room)
        self.dropped += over
        self._last, self._num_last = [whole[over:]], len(whole) - over
        return whole[over:]


def serve(sock: socket.socket, seed: int, standing: list[str]) -> None:
    """Answers cells until the other end is closed."""
    module, output = types.ModuleType("__main__"), Output()
    sys.modules["__main__"], sys.argv = module, [""]
    module.__dict__["__builtins__"] = builtins
    seed_generators(seed)
    warnings.showwarning = _warn  # type: ignore[assignment]
    sys.set_int_max_str_digits(0)  # time and output are bounded anyway
    sock.sendall(wire.pack({"ready": standing}))
    while True:
        cell = wire.receive(sock)
        sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = output  # type: ignore[assignment, misc]
        output.begin(cell["room"], cell["tail_room"])
        status = run(cell["code"], module.__dict__, output, traceback_lines if cell["traceback"] else describe)
        tail = output.tail()
        sock.sendall(wire.pack({"cell": cell["cell"], "status": status, "output": output.text(), "tail": tail, "dropped": output.dropped}))


def run(code: str, space: dict[str, Any], output: Output, say: Callable[[BaseException], str]) -> str:
    """One cell: "ok" or "error", and what `say` tells of the error. Interrupts reach the cell alone, never the lines around it."""
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
                output.write(say(error) + "\n")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException as error:  # an error whose own text fails, or an interrupt between two lines above
        output.write(f"{type(error).__name__}\n")
    return status


def _execute(code: str, space: dict[str, Any], output: Output) -> None:
    tree, code = _parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(_remember(compile(tree, "<cell>", "exec"), code), space)
    if isinstance(last, ast.Expr):
        value = eval(_remember(compile(ast.Expression(last.value), "<cell>", "eval"), code), space)
        if value is not None:
            output.write(f"{value!r}\n")


def _parse(code: str) -> tuple[ast.Module, str]:
    """The tree, and the text it is of: a cell that is indented as a whole is taken without that, as IPython and NeMo-Skills do."""
    try:
        return ast.parse(code, "<cell>"), code
    except IndentationError:
        flush = textwrap.dedent(code)
        if flush == code:
            raise
        return ast.parse(flush, "<cell>"), flush


LINES: dict[types.CodeType, list[str]] = {}
"""Which cell's lines each of its functions was compiled from."""


def _remember(compiled: types.CodeType, cell: str) -> types.CodeType:
    lines = cell.splitlines()
    LINES.update((part, lines) for part in _parts(compiled))
    return compiled


def _parts(compiled: types.CodeType) -> Iterator[types.CodeType]:
    yield compiled
    for constant in compiled.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def traceback_lines(error: BaseException) -> str:
    """The error as NeMo-Skills shows it: IPython's plain traceback without its lines of files, here of the cells' own frames alone."""
    if isinstance(error, SyntaxError) and error.filename == "<cell>":
        return "".join(traceback.format_exception_only(error)[1:]).removesuffix("\n")
    frames = ((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code in LINES)
    shown = [f"    {LINES[code][line - 1].strip()}" for code, line in frames if line]
    return "\n".join(["Traceback (most recent call last):", *shown, describe(error)])


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
