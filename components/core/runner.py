"""From a function's signature to the command that DVC runs; thin, over argparse, which every start of a stage can afford.

A stage is one function. Its positional parameters are sections of params.yaml (Config types), which say what it computes, and of
infra/machine.yaml (MachineConfig types), which say where: those are recorded, and no result depends on them. Its keyword-only ones
are paths: `In` (must exist), `Out` (written aside and moved into place on success), `Work` (a folder outside DVC's sight, named by a
hash of configuration, inputs and code: what a killed run left there, the next run goes on from). It returns its metrics, which
`--metrics` names a file for. What a stage depends on must be at its end what it was at its start, or nothing is recorded: DVC looks at
dependencies only when a stage has ended. The runner knows nothing of any stage.
"""

import argparse
import errno
import functools
import hashlib
import inspect
import json
import logging
import os
import platform
import shutil
import signal
import sys
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from components.core import fingerprint, watch
from components.core.errors import MachineError, UserError
from components.core.fingerprint import Codebase, Fingerprint
from components.core.machine import MachineConfig
from components.core.params import PARAMS, Config

In = Annotated[Path, "in"]
Out = Annotated[Path, "out"]
Work = Annotated[Path, "work"]
Metrics = dict[str, Any]
HOME = Path(".aimo")
CPU_KERNELS = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2"}
"""What torch computes with on a CPU: wider registers add up in another order, and the same stage would make another model on the next
machine. With these, two kinds of servers gave the same votes; with AVX-512 the one that has it did not, and was no faster."""
DISK_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class Contract(typing.NamedTuple):
    """What a signature says: `sections` of params.yaml and of the `machine` by parameter name, `paths` by role ("in", "out", "work")."""

    sections: dict[str, type[Config]]
    machine: dict[str, type[MachineConfig]]
    paths: dict[str, str]
    keyed: bool


def contract(stage: Callable[..., Metrics]) -> Contract:
    """Reads a stage function's signature."""
    hints = typing.get_type_hints(stage, include_extras=True)
    sections, machine, paths = {}, {}, {}
    for name, parameter in inspect.signature(stage).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            paths[name] = typing.get_args(hints[name])[1]
        elif issubclass(hints[name], MachineConfig):
            machine[name] = hints[name]
        else:
            sections[name] = hints[name]
    return Contract(sections, machine, paths, any(section.keyed for section in sections.values()))


def main(stage: Callable[..., Metrics]) -> None:
    """Runs a stage as a command: `python -m components.<stage> [KEY] --flag path ... --metrics file`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what a stage started is ended in order
    for name, value in CPU_KERNELS.items():
        os.environ.setdefault(name, value)  # before a stage imports torch
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    shape = contract(stage)
    given = vars(_parser(stage, shape).parse_args())
    ended: str | int | None = None
    try:
        _run(stage, shape, given.pop("key", None), given.pop("metrics"), given)
    except* (UserError, MachineError) as raised:  # alone, or out of the tasks of a group
        ended = "\n".join(dict.fromkeys(f"error: {error}" for error in _leaves(raised)))
    except* KeyboardInterrupt:
        ended = 128 + signal.SIGINT
    sys.exit(ended)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _parser(stage: Callable[..., Metrics], shape: Contract) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(stage.__name__, description=inspect.getdoc(stage), allow_abbrev=False)
    if shape.keyed:
        parser.add_argument("key", help="which entry of the section in params.yaml")
    for name, role in shape.paths.items():
        if role != "work":
            parser.add_argument(f"--{name}", type=Path, required=True, help=f"{role}put path")
    parser.add_argument("--metrics", type=Path, required=True, help="where the metrics go, as JSON")
    return parser


def _run(stage: Callable[..., Metrics], shape: Contract, key: str | None, metrics: Path, paths: dict[str, Path]) -> None:
    started, sections = time.time(), _sections(shape, key)
    machine = {name: kind.load() for name, kind in shape.machine.items()}
    for name, role in shape.paths.items():
        if role == "in" and not paths[name].exists():
            raise UserError(
                f"--{name} {paths[name]}: no such file or folder; `dvc repro` makes what a stage reads, `dvc status` says what is missing"
            )
    watch.start(paths[name] for name, role in shape.paths.items() if role == "in")
    mtimes, code = Codebase().mtimes(), _code(stage.__name__)
    given, finals = dict(paths), {}
    for name, role in shape.paths.items():
        if role == "out":
            finals[name] = paths[name]
            given[name] = _aside(paths[name])
        if role == "work":
            inputs = {n: paths[n] for n, r in shape.paths.items() if r == "in"}
            given[name] = HOME / "work" / f"{stage.__module__.split('.')[-2]}-{_digest(code.value, sections, inputs)}"
            given[name].mkdir(parents=True, exist_ok=True)
    with _nothing_half(given[name] for name in finals):
        measured = stage(**sections, **machine, **given)
        watch.check_unchanged()
        if _sections(shape, key) != sections:
            raise watch.edited_error(PARAMS)
        if Codebase().mtimes() != mtimes:
            _check_code(stage.__name__, code)
        for name, final in finals.items():
            _move(given[name], final)
        write_json(metrics, measured)
        for name, role in shape.paths.items():
            if role == "work":
                shutil.rmtree(given[name])
        _record(os.environ.get("DVC_STAGE") or metrics.stem, time.time() - started, metrics, machine.values())


def _sections(shape: Contract, key: str | None) -> dict[str, Config]:
    return {name: kind.load(key=key if kind.keyed else None) for name, kind in shape.sections.items()}


def _code(component: str) -> Fingerprint:
    """The code that runs. Under DVC the dependency is what the stage `code` wrote down: it must be the same."""
    found = Codebase().fingerprint(component)
    if os.environ.get("DVC_STAGE") and fingerprint.recorded(component) not in (None, found.value):
        raise UserError(f"components/{component}: its code was edited after `code` wrote {fingerprint.record_path(component)}; run again")
    return found


def _check_code(component: str, before: Fingerprint) -> None:
    """Raises UserError naming a file whose code is not as it was: what a stage imports late would be another version's."""
    now = Codebase().fingerprint(component)
    for file in sorted(dict(before.files.items() ^ now.files.items())):
        raise watch.edited_error(Path(file))


@contextmanager
def _nothing_half(asides: Iterable[Path]) -> Iterator[None]:
    """However the work ends, nothing half-written stays. A full disk is the user's to mend, whichever library met it and in what words."""
    try:
        yield
    except Exception as error:
        for leaf in map(str, _leaves(error)):
            if any(full in leaf for full in DISK_FULL):
                raise UserError(f"the disk is full ({leaf}): free some space and run again; nothing half-written is left") from error
        raise
    finally:
        for aside in asides:
            remove(aside)


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".partial-{path.name}")
    remove(aside)
    return aside


def _move(aside: Path, final: Path) -> None:
    remove(final)
    aside.replace(final)


def remove(path: Path) -> None:
    """Takes a file or folder away, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Writes JSON atomically: sorted keys, floats to 6 digits, so that equal results are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path)
    try:
        aside.write_text(json.dumps(_rounded(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _rounded(data: Any) -> Any:
    if isinstance(data, float):
        return round(data, 6)
    if isinstance(data, dict):
        return {str(key): _rounded(value) for key, value in data.items()}
    return [_rounded(value) for value in data] if isinstance(data, list | tuple) else data


def _digest(code: str, sections: dict[str, Config], inputs: dict[str, Path]) -> str:
    """A hash of the code, all sections and the bytes of all inputs."""
    settings = {name: section.model_dump(mode="json") for name, section in sections.items()}
    digest = hashlib.sha256(json.dumps([code, settings], sort_keys=True).encode())
    for name, path in sorted(inputs.items()):
        digest.update(f"{name}/{content_digest(path)}".encode())
    return digest.hexdigest()[:16]


def content_digest(path: Path) -> str:
    """A hash of a file's bytes, or of the names and bytes of all files of a folder."""
    digest = hashlib.sha256()
    for file in watch.list_files(path):
        stat = file.stat()
        digest.update(f"{file.relative_to(path)}/{_file_digest(file, stat.st_mtime_ns, stat.st_size)}".encode())
    return digest.hexdigest()


@functools.cache
def _file_digest(file: Path, mtime_ns: int, size: int) -> str:
    """Read once in a process, as long as it looks the same."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _record(stage: str, seconds: float, metrics: Path, machine: Iterable[MachineConfig]) -> None:
    """Keeps how long and where a stage really ran beside the graph: recorded, never part of a result.

    `metrics`: the md5 of the metrics that it wrote, which dvc.lock has too, so that nobody takes this for the record of another run.
    """
    told = {"host": platform.node(), **{one.section: one.redacted() for one in machine}}
    digest = hashlib.md5(metrics.read_bytes()).hexdigest()
    write_json(
        HOME / "ran" / f"{stage}.json", {"stage": stage, "ended": time.time(), "seconds": seconds, "metrics": digest, "machine": told}
    )
