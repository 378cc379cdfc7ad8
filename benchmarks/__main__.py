"""All benchmarks, or those that are named, and one table of what they measured: reports/benchmarks.md, and .json for programs.

    python -m benchmarks [NAME...]

Each runs in a process of its own, so that none finds the other's imports or memory, with its own default sizes. What cannot run here is a
line that says why; what fails is one too, and the exit code.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.table import ROOT, Row, markdown, run
from components.core.runner import write_json

REPORT = ROOT / "reports/benchmarks"


def main() -> None:
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef measure(" in path.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(known)}")
    names = parser.parse_args().names or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
    rows: list[Row] = []
    notes: dict[str, str] = {}
    for name in names:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            found, note = alone.submit(run, name).result()
        rows += found
        notes |= {name: note} if note else {}
        print(*markdown(found), f"{name}: {note}" if note else "", sep="\n", flush=True)
        write(rows, notes)
    print(f"all of it: {REPORT.with_suffix('.md').relative_to(ROOT)}")
    sys.exit(any(note.startswith("failed") for note in notes.values()))


def write(rows: list[Row], notes: dict[str, str]) -> None:
    """After each benchmark, whole or not at all."""
    write_json(REPORT.with_suffix(".json"), {"rows": [row._asdict() for row in rows], "notes": notes})
    path = REPORT.with_suffix(".md")
    partial = path.with_name(f".partial-{path.name}")
    told = [f"| {name} | {' '.join(note.split())} |  |  |  |  |  |" for name, note in notes.items()]
    partial.write_text("\n".join([*markdown(rows), *told]) + "\n", encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    main()
