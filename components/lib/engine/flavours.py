"""What OpenAI-compatible servers are asked and what they stream back, where each spells it in its own way.

Common fields are always sent; FLAVOURS holds the rest (from the request schemas of each server). Pure: knows JSON, no sockets.
"""

import heapq
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from components.lib.engine import cuts
from components.lib.engine.protocol import Completion, Sampling

FlavourName = Literal["vllm", "sglang", "lmdeploy", "trtllm"]


class Flavour(NamedTuple):
    """One server's spellings."""

    keep_stop: dict[str, bool] | None
    """The field that leaves the stop string in the text; None: there is none, so stop strings are looked for here, in the stream."""
    matched: str
    """The field of a choice that says which stop string matched."""
    top_k_off: int
    takes_ids: bool
    """Whether a prompt may be token ids: then no server can tokenise it differently from the training."""
    running_usage: bool
    """Whether every piece can say how many tokens there are so far; else each piece counts as one."""
    apart: dict[str, bool]
    """The field that keeps tokens of equal text (parts of a character) apart among the logprobs; empty: they count as one."""


FLAVOURS: dict[FlavourName, Flavour] = {
    "vllm": Flavour({"include_stop_str_in_output": True}, "stop_reason", -1, True, True, {"return_tokens_as_token_ids": True}),
    "sglang": Flavour({"no_stop_trim": True}, "matched_stop", -1, True, False, {}),
    "lmdeploy": Flavour(None, "", 0, False, False, {}),
    "trtllm": Flavour({"include_stop_str_in_output": True}, "stop_reason", 0, True, False, {}),  # refuses fields it does not know
}


@dataclass
class Reply:
    """What has arrived of one completion."""

    text: str = ""
    num_tokens: int = 0
    entropies: list[float] = field(default_factory=list)
    ended: str | None = None
    matched: str | None = None
    error: str | None = None

    def take(self, line: str, flavour: Flavour, asked: Sampling) -> None:
        """Adds one line of the stream."""
        if not line.startswith("data:") or line == "data: [DONE]":
            return
        event, seen = json.loads(line.removeprefix("data:")), len(self.text)
        if event.get("error"):
            self.error = str(event["error"])
        for choice in event.get("choices") or []:
            self.text += choice.get("text") or ""
            self.num_tokens += 1
            for likeliest in (choice.get("logprobs") or {}).get("top_logprobs") or []:
                self.entropies.append(entropy((likeliest or {}).values(), asked.logprobs))
            self.ended = choice.get("finish_reason") or self.ended
            self.matched = choice.get(flavour.matched) or self.matched
        self.num_tokens = (event.get("usage") or {}).get("completion_tokens") or self.num_tokens
        cut = cuts.first(self.text, seen, asked.stop, asked.until)
        if cut is not None:
            self.text, self.ended, self.matched = self.text[: cut.length], cut.ended, cut.by

    def completion(self, stop: Sequence[str]) -> Completion:
        """The whole reply; a stop string that the server trimmed is put back where it says which one it was."""
        ended, text = str(self.ended), self.text
        if ended == "until":
            return Completion(text, self.num_tokens, ended, self.matched, tuple(self.entropies))
        if ended == "stop" and self.matched in stop and not text.endswith(str(self.matched)):
            text += str(self.matched)
        hit = next((s for s in stop if text.endswith(s)), None) if ended == "stop" else None
        return Completion(text, self.num_tokens, ended, hit, tuple(self.entropies))


def entropy(logprobs: Iterable[float], likeliest: int) -> float:
    """Over the likeliest tokens in nats; servers add the drawn token where it is none of them."""
    return sum(-p * math.exp(p) for p in heapq.nlargest(likeliest, logprobs) if p > -math.inf)


def body(flavour: Flavour, prompt: str | list[int], sampling: Sampling, seed: int) -> dict[str, Any]:
    """The JSON of one request to /v1/completions, but for the model's name, which each server may spell in its own way."""
    asked: dict[str, Any] = {
        "prompt": prompt,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or flavour.top_k_off,  # always sent: lmdeploy's own default is 40
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "max_tokens": sampling.max_tokens,
        "seed": seed,
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if flavour.running_usage:
        asked["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    if sampling.logprobs:
        asked |= {"logprobs": sampling.logprobs, **flavour.apart}
    if sampling.stop and flavour.keep_stop is not None:
        asked |= {"stop": list(sampling.stop), **flavour.keep_stop}
    return asked
