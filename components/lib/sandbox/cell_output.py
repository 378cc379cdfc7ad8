"""What the model is shown of a cell's output: cleaned, cut, and told in plain words what happened.

The same output gives the same text on every machine: no terminal codes, no memory addresses, no temporary paths.
"""

import re

CUT = "<output cut>"
FRESH = "<new interpreter: the variables of earlier cells are lost>\n"
TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # controls; marks that reorder text
SURROGATE = re.compile("[\ud800-\udfff]")
ADDRESS = re.compile(r"\bat 0x[0-9A-Fa-f]+")


def raw_limit(output_chars: int) -> int:
    """Characters to keep of raw output so that `output_chars` are left of it after cleaning, unless it is mostly terminal codes."""
    return 4 * output_chars + 1024


def head(raw: str, cut: bool, output_chars: int, folder: str) -> str:
    """The first `output_chars` characters of cleaned output, and CUT where there was more. `folder` is the session's own."""
    text = clean(raw.replace(folder, "/tmp"))
    return text[:output_chars] + CUT if cut or len(text) > output_chars else text


def head_and_tail(raw: str, tail: str, dropped: int, output_chars: int, folder: str) -> str:
    """The first and the last of cleaned output, `output_chars` characters in all, and how many are left out between them.

    `raw` is its beginning, then `dropped` characters that were not kept, then `tail`.
    """
    first, last = (clean(part.replace(folder, "/tmp")) for part in ((raw, tail) if dropped else (raw + tail, "")))
    text = first + last
    left_out = len(text) - output_chars + dropped
    if left_out <= 0:
        return text
    end = output_chars // 2
    return f"{text[: output_chars - end]}\n<{left_out} characters left out>\n{text[len(text) - end :]}"


def clean(raw: str) -> str:
    text = TERMINAL.sub("", raw).replace("\r\n", "\n").replace("\r", "\n")
    text = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", UNPRINTABLE.sub("", text))
    return ADDRESS.sub("at 0x0", text)


def kept(text: str, limit_s: float) -> str:
    """A cell that was interrupted and let go."""
    return _line(text, f"<stopped after {limit_s:g} s; variables are kept>")


def lost(limit_s: float) -> str:
    """A cell that had to be killed."""
    return _line("", f"<killed after {limit_s:g} s; all variables are lost>")


def crashed(why: str) -> str:
    """A cell whose interpreter died."""
    return _line("", f"<the interpreter died: {why}; all variables are lost>")


def _line(text: str, notice: str) -> str:
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{notice}\n"
