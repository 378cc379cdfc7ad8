"""Whether training and sitting are the same tokens: the share of positions where they differ, on real tokenizers. 0 is right.

    python -m benchmarks.tokens --attempts 60

Each attempt runs through solve's own loop, in each syntax, with code that runs, and becomes a training row, in openmath; beside it stands
the sitting in openmath that says the same. Replies begin and end where tokenizers join things (tests/chat_fixtures.py). Told, too: of how
many attempts the ids would be others, were the text tokenised as a whole. Reads the public tokenizers and templates beside the checkout.
Writes nothing that stays.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row, Skipped, row, run_one
from tests import chat_fixtures


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attempts", type=int, default=60, help="of each tokenizer and syntax; half of them are told how many runs are left"
    )


def measure(args: argparse.Namespace) -> Iterator[Row]:
    if not chat_fixtures.DATA.is_dir():
        raise Skipped(f"no {chat_fixtures.DATA}: the folder of public tokenizers and chat templates")
    for name in chat_fixtures.TEMPLATES:
        for tags in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                chat = chat_fixtures.chat(name, Path(folder), tags=tags)
            each = [(syntax, told) for syntax in chat_fixtures.CALLS for told in (False, True)]
            ways = [one for syntax, told in each for one in chat_fixtures.compared(chat, args.attempts // 2, syntax, told=told)]
            what = f"{name}, <tool_call> {'a token' if tags else 'no token'}, {len(ways)} attempts"
            yield row("tokens", f"{what}: positions where training differs", "share", [one.share_that_differs for one in ways])
            yield row("tokens", f"{what}: of them other ids as one text", "share", [sum(one.whole != one.sat for one in ways) / len(ways)])


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
