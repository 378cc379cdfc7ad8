"""What reading an answer costs beside Math-Verify, and who reads more strings as they are meant.

    python -m venv /tmp/mv && /tmp/mv/bin/pip install 'math-verify[antlr4_13_2]==0.9.0'
    python -m benchmarks.grading --peer /tmp/mv/bin/python --rounds 5

Both read the labelled texts of tests/test_answers.py, in CPU seconds, one right after the other; the peer in an interpreter of its own,
warm, and without `10^{10^{10}}`, whose value it never finishes. Right is: the integer in 0..999 that is meant, or none. Writes nothing.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

from components.lib.answers import read
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


def main(peer: Path, rounds: int) -> None:
    texts = [(text, wanted) for text, wanted in TEXTS if ENDLESS not in text]
    ratios, ours_s, theirs_s = [], [], []
    with subprocess.Popen([peer, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([text for text, _ in texts]) + "\n")
        for _ in range(rounds):
            started = time.process_time()
            for _ in range(REPEATS):
                ours = [read(text, STRICT).answer for text, _ in texts]
            ours_s.append((time.process_time() - started) / REPEATS)
            process.stdin.write("\n")
            process.stdin.flush()
            took, theirs = json.loads(process.stdout.readline())
            theirs_s.append(took)
            ratios.append(took / ours_s[-1])
        process.stdin.close()
    wanted = [want for _, want in texts]
    print(f"{len(texts)} texts, {rounds} rounds; answers per CPU second and strings read as meant")
    for name, seconds, answers in (("components.lib.answers", ours_s, ours), ("Math-Verify", theirs_s, theirs)):
        right = sum(one == want for one, want in zip(answers, wanted, strict=True))
        print(f"{name:24}{len(texts) / statistics.median(seconds):10,.0f}{right:6} of {len(texts)}")
    print(f"times faster, median of the rounds: {statistics.median(ratios):.0f} (least {min(ratios):.0f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a Python in which Math-Verify is installed")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    main(given.peer, given.rounds)
