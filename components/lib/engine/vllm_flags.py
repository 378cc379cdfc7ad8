"""Whether vLLM knows a command line: its own parser is asked, in its environment, once for each line and build of the environment.

The answer is kept in .aimo/flags: the parser takes 20 s to load. Starts no server and needs no GPU.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from components.core.errors import UserError
from components.core.runner import HOME, write_json
from components.lib.engine.server_process import QUIET

ASK = """
import contextlib, io, json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser, answers = make_arg_parser(FlexibleArgumentParser(exit_on_error=False)), []
for words in json.load(sys.stdin):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
        answers.append(None)
    except (Exception, SystemExit) as error:
        last = said.getvalue().strip().splitlines()[-1:]
        answers.append(last[0].partition("error: ")[2] if isinstance(error, SystemExit) else str(error))
print(json.dumps(answers))
"""
"""With vLLM 0.31. An unknown flag ends argparse itself, with its usage and one line of error; a bad value is an exception."""


def errors(env: Path, lines: Sequence[Sequence[str]], root: Path = Path()) -> list[str | None]:
    """What the parser of the environment has against each command line; None: nothing. Raises UserError where it cannot be asked."""
    built = env / ".built"
    stamp = built.read_text(encoding="utf-8").strip() if built.exists() else str(env.resolve())
    kept = [root / HOME / "flags" / f"{_digest(stamp, line)}.json" for line in lines]
    new = [number for number, path in enumerate(kept) if not path.exists()]
    if new:
        for number, error in zip(new, _ask(env, [lines[number] for number in new]), strict=True):
            write_json(kept[number], {"arguments": list(lines[number]), "error": error})
    return [json.loads(path.read_text(encoding="utf-8"))["error"] for path in kept]


def _ask(env: Path, lines: Sequence[Sequence[str]]) -> list[str | None]:
    python, told = env / "bin" / "python", json.dumps([list(line) for line in lines])
    done = subprocess.run([python, "-c", ASK], input=told, capture_output=True, text=True, env={**os.environ, **QUIET}, check=False)
    if done.returncode:
        raise UserError(f"{python}: vLLM's parser did not start: {done.stderr.strip().splitlines()[-1]}; `infra/envs/build {env.name}`")
    return list(json.loads(done.stdout.splitlines()[-1]))


def _digest(stamp: str, line: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([stamp, list(line)]).encode()).hexdigest()[:16]
