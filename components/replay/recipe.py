"""What a replay varies: a plan, a token budget, stopping rules, a clock and a vote, as params.yaml names them."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from components.core.params import Settings, did_you_mean
from components.lib.rules.early_stopping import StopRule
from components.lib.rules.time_budget import TimeBudget
from components.replay import sampling
from components.replay.pool import STRATEGIES, Attempts


class Recipe(Settings):
    """One policy."""

    plan: dict[str, Annotated[int, Field(ge=1)]] | str
    """How many stored attempts are drawn per prompt ({cot: 7, tir: 8}; `any`: whatever prompt), or the name of a plan whose attempts
    depend on each other, which no pool can stand in for."""
    max_tokens: Annotated[int, Field(ge=1)] | None
    """A tighter budget than the pool's: a longer attempt is cut and abstains."""
    early_stopping: list[StopRule]
    time_budget: TimeBudget | None
    """null: each question takes the time that it takes."""
    vote: str


def not_replayed(recipe: Recipe, problems: Sequence[Attempts]) -> str | None:
    """Why a recipe cannot be replayed on this pool, or None."""
    if isinstance(recipe.plan, str):
        return f"plan '{recipe.plan}' generates differently: its attempts depend on each other, and a stored pool holds independent ones"
    if recipe.vote not in STRATEGIES:
        near = did_you_mean(recipe.vote, list(STRATEGIES))
        return f"vote '{recipe.vote}'{near}: replay knows those that weigh each candidate alone: {', '.join(STRATEGIES)}"
    short = [attempts.problem.id for attempts in problems if not sampling.has_enough(attempts, recipe.plan)]
    if short:
        where = f"on {len(short)} of the pool's {len(problems)} problems (first: {short[0]})"
        return f"plan {_told(recipe.plan)}: too few attempts {where}"
    if recipe.vote == "inverse_entropy" and not any(attempts.votes[recipe.vote].weights.any() for attempts in problems):
        return "the pool holds no entropies; store them with an engine that gives log-probabilities"
    return None


def _told(plan: Mapping[str, int]) -> str:
    return " + ".join(f"{count} {mode}" for mode, count in plan.items())
