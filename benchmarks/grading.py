"""What reading an answer costs beside Math-Verify, and who reads more strings as they are meant.

    python -m benchmarks.grading --rounds 5

Both read the labelled texts of tests/test_answers.py, in CPU seconds, one right after the other; the peer in an interpreter of its own,
warm, and without `10^{10^{10}}`, whose value it never finishes (environment infra/envs/peers.txt). Right is: the integer in 0..999 that
is meant, or none. Writes nothing.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator

from benchmarks.table import Row, peer_python, row, run_one
from components.lib.answers import parse
from tests.test_answers import STRICT, TEXTS

PEER = """
import json, logging, sys, time
from math_verify import parse
logging.disable(logging.CRITICAL)
def answer(text):
    found = parse(text, parsing_timeout=None)
    value = found[0] if found else None
    return int(value) if getattr(value, "is_Integer", False) and 0 <= value <= 999 else None
texts = json.loads(sys.stdin.readline())
answers = [answer(text) for text in texts]  # warm
for line in sys.stdin:
    started = time.process_time()
    answers = [answer(text) for text in texts]
    print(json.dumps([time.process_time() - started, answers]), flush=True)
"""
ENDLESS = "10^{10^{10}}"
REPEATS = 50
"""Our reading of all texts takes a few milliseconds: too short for one tick of the clock."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    texts = [(text, wanted) for text, wanted in TEXTS if ENDLESS not in text]
    ours_s, theirs_s = [], []
    with subprocess.Popen([peer_python("peers"), "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([text for text, _ in texts]) + "\n")
        for _ in range(args.rounds):
            started = time.process_time()
            for _ in range(REPEATS):
                ours = [parse(text, STRICT).answer for text, _ in texts]
            ours_s.append((time.process_time() - started) / REPEATS)
            process.stdin.write("\n")
            process.stdin.flush()
            took, theirs = json.loads(process.stdout.readline())
            theirs_s.append(took)
        process.stdin.close()
    wanted = [want for _, want in texts]
    for name, seconds, answers in (("components.lib.answers", ours_s, ours), ("Math-Verify", theirs_s, theirs)):
        right = sum(one == want for one, want in zip(answers, wanted, strict=True))
        yield row("grading", f"{name}: answers read", "per CPU second", [len(texts) / took for took in seconds])
        yield row("grading", f"{name}: read as meant, of {len(texts)}", "texts", [right])
    ratios = [their / my for my, their in zip(ours_s, theirs_s, strict=True)]
    yield row("grading", "times faster than Math-Verify", "ratio", ratios)


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
