"""Qwen2.5-Math on 100 problems of MATH, 8 samples each (QwenLM/Qwen2.5-Math, evaluation/data/eval_rm_maj_example/math_cot_100.jsonl, MIT).

Reads math_cot_100.jsonl.gz (or .jsonl). Tokens and seconds were not published: a token is taken as 4 characters of the sample's text, and
its seconds as its tokens at 50 per second, so that attempts finish in the order of their lengths. Both are stand-ins.
"""

from collections import Counter
from pathlib import Path

from components.core.types import Problem
from components.lib.answers import Contest, gold
from components.replay.pools.reader import ImportedPool, candidate, read_jsonl

CONTEST = Contest(low=0, high=10**12, modulus=None)
CHARS_PER_TOKEN, TOKENS_PER_S = 4, 50.0


def read(source: Path) -> ImportedPool:
    file = next((source / name for name in ("math_cot_100.jsonl.gz", "math_cot_100.jsonl") if (source / name).is_file()), None)
    problems, candidates, dropped = [], [], Counter[str]()
    for row in read_jsonl(file or source / "math_cot_100.jsonl.gz"):
        name = f"math-{row['idx']}"
        try:
            answer = gold(row["gt"], CONTEST)
        except ValueError:
            dropped["problems whose answer is no integer of 0 or more"] += 1
            continue
        problems.append(
            Problem(id=name, statement=row["question"], answer=answer, source="Qwen2.5-Math on MATH", licence="MIT", group=name)
        )
        for index, (text, said) in enumerate(zip(row["code"], row["pred"], strict=True)):
            tokens = max(1, len(text) // CHARS_PER_TOKEN)
            seconds = round(tokens / TOKENS_PER_S, 3)
            row_of = candidate(name, index, CONTEST, answer=said, num_tokens=tokens, seconds=seconds, mode="cot", text=text)
            candidates.append(row_of)
    return ImportedPool(problems, candidates, dict(dropped))
