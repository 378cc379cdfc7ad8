"""The promises of an engine, tried out: what every kind must keep, so that a run need not know which one it holds.

Each check is an async function whose name is its claim; it asks the engine and asserts. A new kind of engine runs through all of CHECKS
that its traits allow: it brings requests that it can answer, and is not random where replies are known beforehand. Reads and writes
nothing itself. The last check leaves the engine dead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from math import log
from typing import Literal, NamedTuple

from components.lib.engine.protocol import Completion, Engine, EngineError, Sampling, StopCondition

GREEDY = Sampling(0.0, 1.0, 0, 0.0, 400, ())
DRAWN = GREEDY._replace(temperature=1.0, max_tokens=24)
Trait = Literal["random", "known", "context", "duration", "entropies", "slots", "death", "restart"]
"""random: replies are drawn. known: they are known beforehand. context: a text may be too long. duration: a reply takes time, while other
things happen. entropies: they can be had. slots: so many requests run at once, more wait. death: there is something that can die; restart:
and it is started again."""


class Ask(NamedTuple):
    """One request."""

    prompt: str
    key: str


class Subject(NamedTuple):
    """An engine that is checked."""

    engine: Engine
    asks: Sequence[Ask]
    """Four or more; their greedy replies are unlike and of 24 tokens or more, the first one's is the longest."""
    refused: Ask
    """What it cannot answer: no reply is known, or the context has no room for one."""
    slots: int = 0
    kill: Callable[[Engine], None] = lambda _: None


CheckFunction = Callable[[Subject], Awaitable[None]]


class Check(NamedTuple):
    """A claim, and the traits without which it makes no sense."""

    claim: CheckFunction
    needs: frozenset[Trait]


CHECKS: list[Check] = []


def check(*needs: Trait) -> Callable[[CheckFunction], CheckFunction]:
    """Adds a claim to CHECKS."""

    def add(claim: CheckFunction) -> CheckFunction:
        CHECKS.append(Check(claim, frozenset(needs)))
        return claim

    return add


@check()
async def each_request_gets_its_own_reply_whoever_is_beside_it(subject: Subject) -> None:
    together = await _all(subject, DRAWN)
    alone = [await _one(subject, place, DRAWN) for place in range(len(subject.asks))]
    assert together == alone
    assert len({completion.text for completion in together}) == len(together)


@check("random")
async def the_same_seed_gives_the_same_text_and_another_seed_another(subject: Subject) -> None:
    first, again, other = [await asyncio.gather(*(_one(subject, 0, DRAWN, seed + i) for i in range(4))) for seed in (7, 7, 99)]
    assert first == again
    assert len({completion.text for completion in first + other}) == 8


@check()
async def temperature_zero_is_greedy_whatever_the_seed(subject: Subject) -> None:
    first, second = [await _one(subject, 0, GREEDY, seed) for seed in (1, 2)]
    assert first == second


@check()
async def the_budget_ends_a_reply_and_its_tokens_are_counted(subject: Subject) -> None:
    whole = await _one(subject, 0, GREEDY)
    part = await _one(subject, 0, GREEDY._replace(max_tokens=7))
    assert (part.num_tokens, part.finish_reason, part.stop_reason) == (7, "length", None)
    assert 0 < len(part.text) < len(whole.text) and whole.text.startswith(part.text)
    assert 7 < whole.num_tokens <= GREEDY.max_tokens


@check()
async def a_stop_string_ends_the_text_and_stays_in_it(subject: Subject) -> None:
    whole = await _one(subject, 0, GREEDY)
    stop = whole.text[9:12]
    stopped = await _one(subject, 0, GREEDY._replace(stop=("\x00never", stop)))
    assert (stopped.text, stopped.finish_reason, stopped.stop_reason) == (whole.text[: whole.text.index(stop) + len(stop)], "stop", stop)
    assert stopped.num_tokens < whole.num_tokens


@check()
async def a_reason_of_the_callers_ends_the_text_where_it_first_holds(subject: Subject) -> None:
    whole = await _one(subject, 0, GREEDY)
    sign, once = whole.text[9], whole.text[:12]
    at_sign = StopCondition("sign", sign, lambda text: text.index(sign) + 1 if sign in text else None)
    for until, length in (
        (at_sign, whole.text.index(sign) + 1),
        (StopCondition("once", "", lambda text: 12 if text == once else None), 12),
    ):
        ended = await _one(subject, 0, GREEDY._replace(stop_conditions=(until,)))
        assert (ended.text, ended.finish_reason, ended.stop_reason) == (whole.text[:length], "stop_condition", until.name)


@check()
async def of_stop_string_and_reason_the_first_counts(subject: Subject) -> None:
    whole = await _one(subject, 0, GREEDY)
    stop = whole.text[9:12]
    length = whole.text.index(stop) + len(stop)
    for at, ended, by in ((length - 1, "stop_condition", "early"), (length, "stop", stop), (length + 1, "stop", stop)):
        until = StopCondition("early", "", lambda text, at=at: at if len(text) >= at else None)  # type: ignore[misc]
        completion = await _one(subject, 0, GREEDY._replace(stop=(stop,), stop_conditions=(until,)))
        assert (len(completion.text), completion.finish_reason, completion.stop_reason) == (min(at, length), ended, by)


@check()
async def what_is_told_on_the_way_grows_into_the_reply(subject: Subject) -> None:
    told: list[tuple[str, int]] = []
    ask = subject.asks[0]
    completion = await subject.engine.complete(
        subject.engine.encode(ask.prompt), GREEDY, key=ask.key, seed=1, progress=lambda *what: told.append(what)
    )
    assert told and all(completion.text.startswith(text) and num <= completion.num_tokens for text, num in told)
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(told))


@check("random")
async def a_reply_that_its_budget_cut_goes_on_by_its_ids(subject: Subject) -> None:
    ask, whole = subject.asks[0], await _one(subject, 0, GREEDY)
    part = await _one(subject, 0, GREEDY._replace(max_tokens=7))
    assert len(part.ids) == 7 and part.ids == whole.ids[:7]
    rest = await subject.engine.complete(subject.engine.encode(ask.prompt) + part.tokens, GREEDY, key=ask.key, seed=1)
    assert (part.text + rest.text).startswith(whole.text)


@check("entropies")
async def entropies_are_one_per_token_and_only_where_they_are_asked_for(subject: Subject) -> None:
    completions = [await _one(subject, place, DRAWN._replace(logprobs=5)) for place in range(len(subject.asks))]
    assert all(len(completion.entropies) == completion.num_tokens for completion in completions)
    found = [entropy for completion in completions for entropy in completion.entropies]
    assert all(0 <= entropy <= log(5) for entropy in found) and len(set(found)) > 10
    assert not (await _one(subject, 0, DRAWN)).entropies


@check("duration")
async def cancelling_tells_what_was_there(subject: Subject) -> None:
    told: list[tuple[str, int]] = []
    ask = subject.asks[0]
    task = asyncio.create_task(
        subject.engine.complete(subject.engine.encode(ask.prompt), GREEDY, key=ask.key, seed=1, progress=lambda *what: told.append(what))
    )
    await _one(subject, 1, GREEDY._replace(max_tokens=8))
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    whole = await _one(subject, 0, GREEDY)
    text, num_tokens = told[-1]
    assert 0 < num_tokens < whole.num_tokens
    assert whole.text.startswith(text)


@check("duration", "slots")
async def cancelled_slots_go_to_who_waits_while_others_run_on(subject: Subject) -> None:
    before = subject.engine.now()
    running = [asyncio.create_task(_one(subject, 0, GREEDY)) for _ in range(subject.slots)]
    waiting = asyncio.create_task(_one(subject, 1, GREEDY._replace(max_tokens=8)))
    await _amidst(subject.engine, before)
    half = subject.slots // 2
    for task in running[:half]:
        task.cancel()
    await waiting
    assert half and not any(task.done() for task in running[half:])
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@check()
async def a_token_takes_a_step_of_the_clock(subject: Subject) -> None:
    before, step_s = subject.engine.now(), subject.engine.step_s or 0.0
    completion = await _one(subject, 0, DRAWN)
    took = subject.engine.now() - before
    assert took > 0
    assert not step_s or abs(took - completion.num_tokens * step_s) < 1e-6


@check("known")
async def what_it_cannot_answer_is_an_error_that_names_the_engine(subject: Subject) -> None:
    await _fails(subject, _ask(subject, subject.refused, GREEDY, 1))


@check("context")
async def what_the_context_has_no_room_for_ends_by_length(subject: Subject) -> None:
    assert await _ask(subject, subject.refused, GREEDY, 1) == Completion("", 0, "length", None)


@check("duration", "slots", "restart")
async def it_is_started_again_when_it_died_and_all_replies_come_as_if_it_had_not(subject: Subject) -> None:
    whole, before = await _one(subject, 0, GREEDY), subject.engine.now()
    tasks = [asyncio.create_task(_one(subject, 0, GREEDY)) for _ in range(2 * subject.slots)]
    await _amidst(subject.engine, before)
    subject.kill(subject.engine)
    assert set(await asyncio.gather(*tasks)) == {whole}


@check("duration", "slots", "death")
async def it_dies_with_an_error_that_names_it_never_with_a_short_text(subject: Subject) -> None:
    """What lay ready when it died may still arrive, whole; who asks afterwards gets nothing."""
    whole, before = await _one(subject, 0, GREEDY), subject.engine.now()
    tasks = [asyncio.create_task(_one(subject, 0, GREEDY)) for _ in range(8 * subject.slots)]
    await _amidst(subject.engine, before)
    subject.kill(subject.engine)
    for said in await asyncio.gather(*tasks, return_exceptions=True):
        assert _names(subject.engine, said) or (isinstance(said, Completion) and said.num_tokens == whole.num_tokens), said
    await _fails(subject, _one(subject, 0, GREEDY))


async def _one(subject: Subject, place: int, sampling: Sampling, seed: int | None = None) -> Completion:
    return await _ask(subject, subject.asks[place], sampling, place if seed is None else seed)


async def _ask(subject: Subject, ask: Ask, sampling: Sampling, seed: int) -> Completion:
    return await subject.engine.complete(subject.engine.encode(ask.prompt), sampling, key=ask.key, seed=seed)


async def _all(subject: Subject, sampling: Sampling) -> list[Completion]:
    return await asyncio.gather(*(_one(subject, place, sampling) for place in range(len(subject.asks))))


async def _amidst(engine: Engine, before: float) -> None:
    """Returns when a request that was made at `before` is being answered."""
    while engine.now() == before:
        await asyncio.sleep(0.01)


async def _fails(subject: Subject, asked: Awaitable[Completion]) -> None:
    (said,) = await asyncio.gather(asked, return_exceptions=True)
    assert _names(subject.engine, said), said


def _names(engine: Engine, said: object) -> bool:
    return isinstance(said, EngineError) and engine.name.split()[0] in str(said)
