"""Problems from data sets on the Hugging Face hub, one pinned commit each, streamed row by row: nothing is held, nothing is unpacked.

A set is named as `datasets` names it (repository, configuration, split); a folder with files of the same schema stands in for a
repository where there is no network. infra/profiles/hub.yaml holds the field maps of the sets that this project knows. Sets that hold one
row per solution say so with `one_per_statement`. Only the data files of a set are read; a loading script is never run.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.collect.field_map import FieldMap
from components.collect.readers import Record
from components.core.errors import UserError
from components.core.runner import Metrics
from components.lib.answers import Contest

COMMIT = re.compile(r"[0-9a-f]{40}")


class Source(FieldMap):
    """One split of one set at one commit, and its field map."""

    repo: str
    """owner/name, or a local folder."""
    revision: str | None
    """The commit, 40 hex digits; null only where `repo` is a local folder."""
    subset: str | None
    """The set's configuration; null: its only one, or its default."""
    split: str

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.check_licence()
        self._pinned()
        where = f"{self.repo} ({self.split}), row"
        return self.write_problems(((f"{where} {number}", record) for number, record in _records(self)), contest, out)

    def _pinned(self) -> None:
        if not Path(self.repo).is_dir() and not COMMIT.fullmatch(self.revision or ""):
            raise UserError(
                f"{self.where}: revision {self.revision!r} does not pin {self.repo}; write the commit of its page on the hub "
                f"(40 hex digits; `git ls-remote https://huggingface.co/datasets/{self.repo} HEAD` says it)"
            )


def _records(entry: Source) -> Iterator[Record]:
    """The rows of a set, in its order. Raises UserError naming the set and what to do."""
    number = 0
    try:
        for number, record in enumerate(_stream(entry), 1):
            yield number, record
    except FileNotFoundError as error:  # `datasets` makes of it: no such set or revision, no access, no data files
        raise UserError(f"{entry.repo}: {error}; check its name and revision, and set HF_TOKEN where its terms must be accepted") from None
    except OSError as error:
        if error.errno:  # the disk's or the system's own
            raise
        raise UserError(
            f"{entry.repo}: the hub cannot be reached ({error}): unset HF_HUB_OFFLINE, or name a local folder that holds the set"
        ) from None
    if number == 0:
        raise UserError(f"{entry.repo} ({entry.split}): holds no rows; remove its entry from params.yaml or fill it")


def _stream(entry: Source) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset

    revision = None if Path(entry.repo).is_dir() else entry.revision
    try:
        yield from load_dataset(entry.repo, entry.subset, split=entry.split, revision=revision, streaming=True)
    except ValueError as error:  # what `datasets` says of a split, a configuration or a file that is not what it should be
        raise UserError(f"{entry.repo} ({entry.split}): {error}; mend {entry.where}, or the set") from None
