"""A stand-in for vLLM: its HTTP face and a GPU's pace without a model, so that its client can be measured at full scale.

    python -m benchmarks.stand_in --factor 20 --model FOLDER

Prints its address. Each request streams words for as long as a 14B model on four L4s would take at the batch of the moment, `factor` times
as fast, in pieces of eight tokens with ids, usage and the log-probabilities that are asked for; then it calls code, or boxes an answer
and ends its turn. What it says depends on the request's seed and on the prompt's length alone.
"""

import argparse
import asyncio
import json
import math
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.server_config import STREAM_INTERVAL

TOKENS_PER_S = ((1, 40.0), (4, 130.0), (8, 230.0), (12, 310.0), (16, 380.0), (64, 900.0))
"""Of all requests together, by their number. 12: FP8 on vLLM, NVIDIA's paper (arXiv 2504.16891), table 9; 2nd place of AIMO-2: 304 with 15;
the others follow a GPU's usual curve."""
CONTEXT = 32768
CALL = "<tool_call>\nprint(7)\n</tool_call>"
MEDIAN_TOKENS, SIGMA = 2500, 0.8
"""Of one generation: several make an attempt, so that some reach 16,000."""


def pace(batch: int) -> float:
    """Tokens a second of all requests together."""
    for (low, slow), (high, fast) in pairwise(TOKENS_PER_S):
        if batch <= high:
            return slow + (fast - slow) * (batch - low) / (high - low)
    return TOKENS_PER_S[-1][1]


class Words:
    """What it says, in a model's tokens."""

    def __init__(self, model: Path) -> None:
        self._chat = ChatTokenizer.load(model)
        texts = self._chat.texts()
        self.word = next(token for token, text in enumerate(texts) if text.isalpha())
        self.text = texts[self.word]

    def ids(self, text: str) -> list[int]:
        return list(self._chat.encode(text).ids)


class StandIn:
    """The server."""

    def __init__(self, factor: float, words: Words) -> None:
        self._factor, self._open, self._words = factor, 0, words

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            if head.startswith("POST"):
                length = int(next(line for line in head.lower().splitlines() if line.startswith("content-length")).split(":")[1])
                await self._stream(json.loads(await reader.readexactly(length)), writer)
            elif "/v1/models" in head:
                writer.write(json.dumps({"data": [{"id": "stand-in", "max_model_len": CONTEXT}]}).encode())
            else:
                writer.write(json.dumps({"version": "stand-in"}).encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    async def _stream(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            for event, num in events(asked, self._words):
                await asyncio.sleep(num * self._open / pace(self._open) / self._factor)
                writer.write(f"data: {json.dumps(event)}\n\n".encode())
                await writer.drain()
            writer.write(b"data: [DONE]\n\n")
        finally:
            self._open -= 1


def events(asked: dict[str, Any], words: Words) -> Iterator[tuple[dict[str, Any], int]]:
    """What is streamed, and how many tokens each is."""
    drawn = random.Random(asked["seed"])
    ease = random.Random(sum(asked["prompt"][:400])).uniform(0.1, 0.95)  # of the problem, which its statement begins with
    wanted = min(round(MEDIAN_TOKENS * math.exp(SIGMA * drawn.gauss(0, 1))), asked["max_tokens"])
    calls = drawn.random() < 0.5 and "</tool_call>" in asked.get("stop", ())
    end = CALL if calls else f" \\boxed{{{7 if drawn.random() < ease else drawn.randrange(1000)}}}"
    whole = wanted < asked["max_tokens"]
    for at in range(0, wanted, STREAM_INTERVAL):
        num = min(STREAM_INTERVAL, wanted - at)
        last = at + num >= wanted
        choice: dict[str, Any] = {"index": 0, "text": words.text * num, "token_ids": [words.word] * num, "finish_reason": None}
        if asked.get("logprobs"):
            likeliest = {f"token_id:{token}": -1.0 - token for token in range(asked["logprobs"])}
            choice["logprobs"] = {
                "tokens": [f"token_id:{words.word}"] * num, "token_logprobs": [-1.0] * num, "top_logprobs": [likeliest] * num,
                "text_offset": [at] * num,
            }  # fmt: skip
        if last and whole:
            choice |= {"text": words.text * num + end, "token_ids": [words.word] * num + words.ids(end)}
            choice |= {"finish_reason": "stop", "stop_reason": "</tool_call>" if calls else None}
        elif last:
            choice["finish_reason"] = "length"
        yield {"choices": [choice], "usage": {"completion_tokens": at + num}}, num


async def serve(factor: float, model: Path) -> None:
    server = await asyncio.start_server(StandIn(factor, Words(model)).answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=20.0)
    parser.add_argument("--model", type=Path, required=True, help="a folder whose tokenizer it speaks with")
    given = parser.parse_args()
    asyncio.run(serve(given.factor, given.model))
