"""The prompts, one .md file each: training rows, practice and exams render the same file.

A prompt holds fields as `{statement}`. Only lower-case words in braces are fields, and values are put in as they are, so the braces of
LaTeX and of code pass on both sides: `\\boxed{}` and `\\boxed{3}` in a prompt are text.
"""

import re
from pathlib import Path

from components.core.errors import UserError
from components.core.watch import watched

FOLDER = Path(__file__).parent
FIELD = re.compile(r"(?<![\\\w}^])\{([a-z_]+)\}")
"""A word in braces that no letter, backslash, brace or caret precedes: `\\boxed{answer}` and `\\frac{a}{b}` are LaTeX."""


def names() -> list[str]:
    """All prompts: `cot`, `recipes/aliev/solve`."""
    return sorted(str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.md"))


def path(name: str) -> Path:
    """The file of a prompt; raises UserError where there is none."""
    file = FOLDER / f"{name}.md"
    if not file.is_file():
        raise UserError(f"{FOLDER.name}/{name}.md: no such prompt; there are: {', '.join(names())}")
    return watched(file)


def fields(name: str) -> set[str]:
    """What a prompt asks to be filled in."""
    return set(FIELD.findall(path(name).read_text(encoding="utf-8")))


def render(name: str, **given: str | int) -> str:
    """The prompt with all its fields filled in; raises UserError for a field too many or too few."""
    text = path(name).read_text(encoding="utf-8").removesuffix("\n")
    wanted = set(FIELD.findall(text))
    if wanted != set(given):
        raise UserError(
            f"{FOLDER.name}/{name}.md: the prompt has the fields {sorted(wanted)}, it was given {sorted(given)}: make the two agree"
        )
    return FIELD.sub(lambda match: str(given[match[1]]), text)
