"""A small DVC workspace for tests of the machinery: three stages and a join, each a line of shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

STAGES = """\
stages:
  first:
    cmd: cp in.txt a.txt
    deps: [in.txt]
    outs: [a.txt]
  left:
    cmd: {left}
    deps: [a.txt]
    params: [scale]
    outs: [b.txt]
  right:
    cmd: {right}
    deps: [a.txt]
    outs: [c.txt]
  join:
    cmd: cat b.txt c.txt > d.txt
    deps: [b.txt, c.txt]
    outs: [d.txt]
"""


def workspace(root: Path, left: str = "cp a.txt b.txt", right: str = "cp a.txt c.txt") -> Path:
    """Makes the workspace in `root`, which must be empty or absent."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dvc.yaml").write_text(STAGES.format(left=json.dumps(left), right=json.dumps(right)))
    (root / "params.yaml").write_text("scale: 1\n")
    (root / "infra").mkdir()
    (root / "infra/machine.yaml").write_text("flow: {parallel: 2}\n")
    (root / "in.txt").write_text("some\n")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\nno_scm = True\nanalytics = False\n")  # what `dvc init --no-scm` writes, without its seconds
    return root


def dvc(root: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, check=True, env={**os.environ, "PATH": PATH, "DVC_NO_ANALYTICS": "1"})
