"""What OpenAI-compatible servers are asked and what they stream back, where each spells it in its own way.

Common fields are always sent; BACKENDS holds the rest (from the request schemas of each server). Pure: knows JSON, no sockets.
"""

import heapq
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from components.lib.engine import stop_strings
from components.lib.engine.protocol import Completion, Sampling

BackendName = Literal["vllm", "sglang", "lmdeploy", "trtllm"]


class Backend(NamedTuple):
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
    ids: dict[str, bool]
    """The field that brings the generated ids; empty: there is none, and the text that came is tokenised by itself."""


BACKENDS: dict[BackendName, Backend] = {
    "vllm": Backend(
        {"include_stop_str_in_output": True},
        "stop_reason",
        -1,
        True,
        True,
        {"return_tokens_as_token_ids": True},
        {"return_token_ids": True},
    ),
    "sglang": Backend({"no_stop_trim": True}, "matched_stop", -1, True, False, {}, {}),
    "lmdeploy": Backend(None, "", 0, False, False, {}, {}),
    "trtllm": Backend({"include_stop_str_in_output": True}, "stop_reason", 0, True, False, {}, {}),  # refuses fields it does not know
}


@dataclass
class StreamedReply:
    """What has arrived of one completion."""

    text: str = ""
    num_tokens: int = 0
    entropies: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    matched: str | None = None
    error: str | None = None
    num_kept: int = 0
    """Tokens that an earlier request brought, before its stream broke off."""

    def take(self, line: str, backend: Backend, asked: Sampling) -> None:
        """Adds one line of the stream."""
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data in ("", "[DONE]"):
            return
        event, seen = json.loads(data), len(self.text)
        if event.get("error"):
            self.error = str(event["error"])
        for choice in event.get("choices") or []:
            self.text += choice.get("text") or ""
            self.ids += choice.get("token_ids") or []
            self.num_tokens += bool(choice.get("text") or not choice.get("finish_reason"))  # a last piece may bring the reason alone
            for likeliest in (choice.get("logprobs") or {}).get("top_logprobs") or []:
                self.entropies.append(entropy((likeliest or {}).values(), asked.logprobs))
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            self.matched = choice.get(backend.matched) or self.matched
        counted = (event.get("usage") or {}).get("completion_tokens")
        self.num_tokens = self.num_kept + counted if counted else self.num_tokens
        cut = stop_strings.find_stop(self.text, seen, asked.stop, asked.stop_conditions)
        if cut is not None:
            self.text, self.finish_reason, self.matched = self.text[: cut.length], cut.finish_reason, cut.by

    def break_off(self, ids: Sequence[int]) -> None:
        """After a failure: keeps what had arrived where its `ids` are known, for another request to go on from; else nothing."""
        self.text = self.text if ids else ""
        self.ids, self.entropies = list(ids), self.entropies[: len(ids)]
        self.num_tokens = self.num_kept = len(ids)
        self.finish_reason = self.matched = self.error = None

    def ended_by_length(self) -> Completion:
        """What has arrived, where no more may come."""
        return Completion(self.text, self.num_tokens, "length", None, tuple(self.entropies), tuple(self.ids))

    def completion(self, stop: Sequence[str]) -> Completion:
        """The whole reply; a stop string that the server trimmed is put back where it says which one it was."""
        ended, text = str(self.finish_reason), self.text
        if ended == "stop_condition":
            return Completion(text, self.num_tokens, ended, self.matched, tuple(self.entropies))
        if ended == "stop" and self.matched in stop and not text.endswith(str(self.matched)):
            text += str(self.matched)
        hit = next((s for s in stop if text.endswith(s)), None) if ended == "stop" else None
        return Completion(text, self.num_tokens, ended, hit, tuple(self.entropies))


def entropy(logprobs: Iterable[float | None], likeliest: int) -> float:
    """Over the likeliest tokens in nats; servers add the drawn token where it is none of them, and may send null for what never comes."""
    return sum(-p * math.exp(p) for p in heapq.nlargest(likeliest, (p for p in logprobs if p is not None)) if p > -math.inf)


def request_body(backend: Backend, prompt: str | list[int], sampling: Sampling, seed: int) -> dict[str, Any]:
    """The JSON of one request to /v1/completions, but for the model's name, which each server may spell in its own way."""
    asked: dict[str, Any] = {
        "prompt": prompt,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or backend.top_k_off,  # always sent: lmdeploy's own default is 40
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "max_tokens": sampling.max_tokens,
        "seed": seed,
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
        **backend.ids,
    }
    if backend.running_usage:
        asked["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    if sampling.logprobs:
        asked |= {"logprobs": sampling.logprobs, **backend.apart}
    if sampling.stop and backend.keep_stop is not None:
        asked |= {"stop": list(dict.fromkeys(sampling.stop)), **backend.keep_stop}
    return asked
