"""Notes which files of ours a stage opens or runs: Python imports this at its start where the folder is first on PYTHONPATH.

AUDIT_FOLDER names the folder for the notes, AUDIT_ROOT the one whose files are noted. One file per process, in a folder per stage
(DVC_STAGE; without it nothing is noted). A child that is started in a clean environment is given these variables too. Not covered: what is
forked, and what bubblewrap keeps from the disk.
"""

import os
import re
import sys
from typing import Any

AUDIT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (a light start: pathlib is not imported here)
PYC = re.compile(r"__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc(?:\.\d+)?$")


def start(folder: str, under: str, stage: str) -> None:
    """From now on, every file under `under` that this process opens, or starts a process with, is a line of its note."""
    pid, known = os.getpid(), set[str]()
    os.makedirs(f"{folder}/{stage}", exist_ok=True)  # noqa: PTH103
    passed = {"AUDIT_FOLDER": folder, "AUDIT_ROOT": under, "DVC_STAGE": stage}

    def note(name: Any) -> None:
        if isinstance(name, str | bytes | os.PathLike):
            path = PYC.sub(r"\1.py", os.path.abspath(os.fsdecode(name)))  # noqa: PTH100
            if path.startswith(under) and path not in known:
                known.add(path)
                with open(f"{folder}/{stage}/{pid}", "a", encoding="utf-8") as lines:  # noqa: PTH123
                    lines.write(path.removeprefix(under) + "\n")

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if os.getpid() != pid:
            return
        if event == "open":
            note(args[0])
        elif event == "subprocess.Popen":
            _, words, _, environment = args
            for word in words if isinstance(words, list | tuple) else []:
                note(word)
            if isinstance(environment, dict) and environment is not os.environ:
                others = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one not in ("", AUDIT)]
                environment.update(passed, PYTHONPATH=os.pathsep.join([AUDIT, *others]))

    sys.addaudithook(hook)


if os.environ.get("AUDIT_FOLDER") and os.environ.get("DVC_STAGE"):
    start(os.environ["AUDIT_FOLDER"], os.environ["AUDIT_ROOT"], os.environ["DVC_STAGE"])
