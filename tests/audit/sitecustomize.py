"""Notes which files of ours a stage opens or runs: Python imports this at its start where the folder is first on PYTHONPATH.

OPENED names the folder for the notes, OPENED_UNDER the one whose files are noted. One file per process, in a folder per stage (DVC_STAGE;
without it nothing is noted). A child that is started in a clean environment is given these variables too. Not covered: what is forked,
and what bubblewrap keeps from the disk.
"""

import os
import re
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (a light start: pathlib is not imported here)
COMPILED = re.compile(r"__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc(?:\.\d+)?$")


def listen(folder: str, under: str, stage: str) -> None:
    """From now on, every file under `under` that this process opens, or starts a process with, is a line of its note."""
    pid, known = os.getpid(), set[str]()
    os.makedirs(f"{folder}/{stage}", exist_ok=True)  # noqa: PTH103
    passed = {"OPENED": folder, "OPENED_UNDER": under, "DVC_STAGE": stage}

    def note(name: Any) -> None:
        if isinstance(name, str | bytes | os.PathLike):
            path = COMPILED.sub(r"\1.py", os.path.abspath(os.fsdecode(name)))  # noqa: PTH100
            if path.startswith(under) and path not in known:
                known.add(path)
                with open(f"{folder}/{stage}/{pid}", "a", encoding="utf-8") as lines:  # noqa: PTH123
                    lines.write(path.removeprefix(under) + "\n")

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if os.getpid() != pid:
            return
        if event == "open":
            note(args[0])
        elif event == "subprocess.Popen":
            _, words, _, environment = args
            for word in words if isinstance(words, list | tuple) else []:
                note(word)
            if isinstance(environment, dict) and environment is not os.environ:
                others = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one not in ("", HERE)]
                environment.update(passed, PYTHONPATH=os.pathsep.join([HERE, *others]))

    sys.addaudithook(hear)


if os.environ.get("OPENED") and os.environ.get("DVC_STAGE"):
    listen(os.environ["OPENED"], os.environ["OPENED_UNDER"], os.environ["DVC_STAGE"])
