"""The stage: topics, some at once, through one engine; each finished topic is kept, so that a killed run goes on after the last one."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Dropped, Problem, Topic
from components.extract.topic import ExtractedTopic, Extractor, extract_problems
from components.lib.answers import Contest
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.config import EngineHosts, Engines, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.lib.engine.shards import ShardedEngine


class Extract(Config, section="extract"):
    """Who reads the topics."""

    engine: str
    model: str
    """What answers: a file of recorded replies, a model's folder or name."""
    seed: int
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    num_concurrent: int = Field(ge=1)
    """Topics that are read at the same time."""
    shards: int = Field(ge=1)
    """Machines that have an engine each (components/lib/engine/shards.py)."""
    convert_proofs: bool
    """Whether a proof is rewritten into a question, which has no answer yet; see topic.py why not."""


def extract(config: Extract, engines: Engines, contest: Contest, hosts: EngineHosts, *, topics: In, out: Out, work: Work) -> Metrics:
    """Reads forum topics through a language model into problems with final answers; nothing is lost without a reason.

    `topics` holds a folder per forum; they are read in the order of their names.
    """
    forums = sorted(topics.glob("*/topics.parquet"))
    if not forums:
        raise UserError(f"--topics {topics}: holds no folder with a topics.parquet; a forum is a source of `kind: forum`")
    kept = work / "extracted.jsonl"
    opened = partial(open_engine, config.engine, engines, hosts, Path(config.model))
    engine = opened() if config.shards == 1 else ShardedEngine(config.shards, opened)
    name = asyncio.run(extract_topics(config, engine, contest, forums, kept))
    return {"engine": name, **_seal(kept, out)}


async def extract_topics(config: Extract, engine: Engine | ShardedEngine, contest: Contest, forums: Sequence[Path], kept: Path) -> str:
    """Appends one line per topic to `kept`, in the order of the topics, from where it stands; returns the engine's name."""
    async with engine:
        await map_resumable(engine, _topics(forums), partial(_ask, config, contest), ExtractedTopic, kept, config.num_concurrent)
    return engine.name


async def _ask(config: Extract, contest: Contest, engine: Engine, topic: Topic) -> ExtractedTopic:
    sampling = Sampling(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=config.max_tokens, stop=())
    return await extract_problems(topic, Extractor(engine, sampling, config.seed, contest, config.convert_proofs))


def _topics(forums: Sequence[Path]) -> Iterator[Topic]:
    """The topics of all forums. Raises UserError where two have one id: their problems' ids begin with it."""
    seen: dict[str, Path] = {}
    for path in forums:
        for topic in rows.read(path, Topic):
            if topic.id in seen:
                raise UserError(
                    f"{path}: the topic '{topic.id}' is one of {seen[topic.id]}, too; give each forum's ids a prefix of their own"
                )
            seen[topic.id] = path
            yield topic


def _seal(kept: Path, out: Path) -> Metrics:
    out.mkdir(parents=True)
    counts, reasons = Counter[str](topics=0, requests=0, tokens=0, unparsed=0), Counter[str]()
    unanswered = 0

    def problems() -> Iterator[Problem]:
        nonlocal unanswered
        for asked in rows.read(kept, ExtractedTopic):
            counts.update(topics=1, requests=asked.requests, tokens=asked.tokens, unparsed=asked.unparsed)
            reasons.update(row.reason for row in asked.dropped)
            unanswered += sum(problem.answer is None for problem in asked.problems)
            yield from asked.problems

    num_problems = rows.write(out / "problems.parquet", problems(), Problem)
    num_dropped = rows.write(out / "dropped.parquet", (row for asked in rows.read(kept, ExtractedTopic) for row in asked.dropped), Dropped)
    return {**counts, "problems": num_problems, "without_answer": unanswered, "dropped": num_dropped, "reasons": dict(reasons)}
