"""The stage: read a pool, replay every recipe on it, measure, write the page."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from components.core.params import Config
from components.core.runner import In, Metrics, Out
from components.lib import statistics
from components.lib.votes.config import VoteConfig
from components.replay import metrics, pool
from components.replay.page import html
from components.replay.pool import STRATEGIES, Attempts
from components.replay.recipe import Recipe, not_replayed
from components.replay.simulation import Outcome, simulate

Order = Literal["as_stored", "hard_first", "hard_last"]


class Replay(Config, section="replay"):
    """What is replayed and how sure it is."""

    num_samples: Annotated[int, Field(ge=1)]
    """Subsets drawn per problem; with a clock: runs."""
    seed: int
    order: Order
    """Of the problems, which only a clock notices; hard: few of the pool's attempts are right."""
    k_values: list[Annotated[int, Field(ge=1)]]
    """k of the pool's own pass@k and maj@k."""
    confidence: float
    resamples: int
    recipes: Annotated[dict[str, Recipe], Field(min_length=1)]
    """By name; the others are compared with the first that can be replayed."""


def replay(config: Replay, votes: VoteConfig, *, candidates: In, problems: In, page: Out) -> Metrics:
    """Replays stopping rules, clocks and votes on stored candidates, with intervals."""
    stored = pool.read(candidates, problems, {recipe.vote for recipe in config.recipes.values()} & set(STRATEGIES), votes)
    asked = ordered(stored.problems, config.order)
    refused = {name: reason for name, recipe in config.recipes.items() if (reason := not_replayed(recipe, asked))}
    replayable = {name: recipe for name, recipe in config.recipes.items() if name not in refused}
    bootstrap = metrics.Bootstrap(config.confidence, config.resamples, config.seed)
    outcomes = simulate(asked, replayable, config.num_samples, config.seed)
    rows: dict[str, Any] = {name: {"not_replayed": refused[name]} for name in refused}
    rows |= {name: metrics.recipe_metrics(outcome, asked, bootstrap) for name, outcome in outcomes.items()}
    for name, pair in compared(outcomes, asked, bootstrap).items():
        rows[name]["vs_first"] = pair._asdict()
    results = {
        "pool": {
            **metrics.pool_metrics(asked, config.k_values, bootstrap),
            "num_cancelled": stored.num_cancelled,
            "num_without_attempts": stored.num_empty,
            "sources": sorted({attempts.problem.source for attempts in asked}),
        },
        "num_samples": config.num_samples,
        "order": config.order,
        "confidence": config.confidence,
        "recipes": {name: rows[name] for name in config.recipes},
        "held_out": metrics.held_out(outcomes, asked, bootstrap),
    }
    page.write_text(html(results, config.recipes), encoding="utf-8")
    return results


def ordered(problems: Sequence[Attempts], order: Order) -> list[Attempts]:
    """The problems as a run meets them."""
    if order == "as_stored":
        return list(problems)
    return sorted(problems, key=lambda a: float((a.answers == a.gold).mean()), reverse=order == "hard_last")


def compared(outcomes: Mapping[str, Outcome], problems: Sequence[Attempts], bootstrap: metrics.Bootstrap) -> dict[str, statistics.Paired]:
    """Every recipe but the first against the first, with Holm's p-values."""
    pairs = {
        name: metrics.paired_difference(next(iter(outcomes.values())), outcomes[name], problems, bootstrap) for name in list(outcomes)[1:]
    }
    adjusted = statistics.holm([pair.p_value for pair in pairs.values()])
    return {name: pair._replace(p_value=p_value) for (name, pair), p_value in zip(pairs.items(), adjusted, strict=True)}
