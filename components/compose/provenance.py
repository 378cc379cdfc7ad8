"""What made a set: the digests of its prompt files and of every file of ours that the stage's code reaches."""

from collections.abc import Iterable

from components.core.fingerprint import Codebase
from components.lib import prompts
from components.lib.pinned import digest


def prompt_digests(names: Iterable[str]) -> dict[str, str]:
    """Digest by prompt file, by name."""
    return {f"{name}.md": digest(prompts.path(name)) for name in sorted(set(names))}


def code_digests() -> dict[str, str]:
    """Digest by file: this component and what it reaches. A comment changes none."""
    return Codebase().fingerprint("compose").files
