"""A small DVC workspace for tests of the machinery: three stages and a join, each a line of shell."""

import json
import os
import shutil
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


STAGE = '''\
"""A stage that does as it is told in its middle."""

import subprocess
from pathlib import Path

from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.watch import watched
from components.toy.late import LATE


class Toy(Config, section="toy"):
    scale: int
    during: str


def toy(config: Toy, *, data: In, out: Out, work: Work) -> Metrics:
    """Writes data, prompt and scale, after a command of the shell."""
    prompt = watched(Path("prompt.md")).read_text()
    resumed = (work / "half").exists()
    (work / "half").touch()
    subprocess.run(config.during, shell=True, check=True)
    out.write_text((data / "one.txt").read_text() + prompt + str(config.scale) + LATE)
    return {"resumed": resumed}
'''
COMPONENT = """\
stages:
  code:
    cmd: python -m components.code --components components --out code --metrics code-metrics.json
    deps: [components]
    outs: [code]
    metrics: [code-metrics.json: {cache: false}]
  toy:
    cmd: python -m components.toy --data data --out out.txt --metrics metrics.json
    deps: [code/toy.json, data, prompt.md]
    params: [toy]
    outs: [out.txt]
    metrics: [metrics.json: {cache: false}]
  end:
    cmd: cp out.txt end.txt
    deps: [out.txt]
    outs: [end.txt]
"""


def component_workspace(root: Path, during: str = "true") -> Path:
    """A workspace of our own kind in `root`: components/core and components/code as they are, one component of its own, and `code`."""
    ours = Path(__file__).parents[1] / "components"
    for name in ("core", "code"):
        shutil.copytree(ours / name, root / "components" / name, ignore=shutil.ignore_patterns("__pycache__"))
    main = "from components.core.runner import main\nfrom components.toy.stage import toy\n\nmain(toy)\n"
    for name, text in {
        "__init__.py": "",
        "toy/__init__.py": "",
        "toy/__main__.py": main,
        "toy/stage.py": STAGE,
        "toy/late.py": "LATE = ''\n",
    }.items():
        (root / "components" / name).parent.mkdir(exist_ok=True)
        (root / "components" / name).write_text(text)
    (root / "data").mkdir()
    (root / "data/one.txt").write_text("one\n")
    (root / "prompt.md").write_text("prompt\n")
    (root / "params.yaml").write_text(f"toy:\n  scale: 1\n  during: {json.dumps(during)}\n")
    (root / "dvc.yaml").write_text(COMPONENT)
    (root / ".dvcignore").write_text("__pycache__\n.aimo\n.partial-*\n")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\nno_scm = True\nanalytics = False\n")
    return root
