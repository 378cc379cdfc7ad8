"""The replay itself: drawn attempts finish in their own time, the rules of a live run say when it is over, and what is there votes.

All attempts of a question begin together and end after their own stored seconds. What a stop or the clock cuts off has generated its
tokens at its own even pace until then. One pass over the problems serves all recipes: those that draw alike share draw and tally. With a
clock each draw is a whole run, whose later questions get what the earlier ones left. Knows no files.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.lib.rules.early_stopping import StopRule, decide
from components.lib.rules.length_model import LengthModel
from components.lib.rules.tally import Tally
from components.lib.rules.time_budget import History, QuestionBudget, Tokens
from components.replay import sampling
from components.replay.pool import Attempts
from components.replay.recipe import Recipe
from components.replay.weighted_vote import SampledVotes, gather_votes, winning_answers

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers


class Outcome(NamedTuple):
    """What came out, [samples] for one problem or [problems, samples] for all."""

    correct: "Numbers"
    """The vote is the gold answer. A question that was given up or that nobody voted on is not right."""
    correct_before_stop: "Numbers"
    """Some attempt that counted was right: the most that a vote could have reached after the stop."""
    any_correct: "Numbers"
    """Some drawn attempt was right: the most that waiting for all could have reached."""
    tokens: "Numbers"
    seconds: "Numbers"
    stopped: "Numbers"
    """A rule ended the question."""
    given_up: "Numbers"


class RuleGroup(NamedTuple):
    """Draws in which a question runs under the same rules."""

    rows: list[int]
    max_tokens: int | None
    at_most: int | None
    """How many attempts are begun; None: all of the plan."""
    stops: list[StopRule]
    limits: "Numbers"
    """Seconds, [rows, 1]."""


class Samples:
    """Attempts of one problem, drawn, in order of finishing; what no rule changes is looked up once for all recipes."""

    def __init__(self, attempts: Attempts, places: "Numbers") -> None:
        self.attempts = attempts
        self.places = places
        """int64 [samples, planned]: rows of `attempts`."""
        self.tally = Tally(attempts.answers[places], attempts.at_s[places], places.shape[1])
        self.tokens = attempts.tokens[places]
        self.hits = self.tally.answers == attempts.gold
        self.sampled: dict[str, SampledVotes] = {}

    def sampled_votes(self, vote: str) -> SampledVotes:
        if vote not in self.sampled:
            self.sampled[vote] = gather_votes(self.attempts.votes[vote], self.places)
        return self.sampled[vote]


Sampler = Callable[[tuple[tuple[str, int], ...], int | None, int | None], Samples]


def simulate(problems: Sequence[Attempts], recipes: Mapping[str, Recipe], num_samples: int, seed: int) -> dict[str, Outcome]:
    """Every recipe on every problem, in the problems' order; values are [problems, samples]."""
    import numpy as np

    found: dict[str, list[Outcome]] = {name: [] for name in recipes}
    for attempts in problems:
        sampler = _sampler(attempts, sampling.random_keys(attempts, num_samples, seed))
        for name, recipe in recipes.items():
            allowed = _allowed(recipe, attempts, found[name], len(problems), num_samples)
            found[name].append(_outcome(recipe, allowed, sampler))
    return {name: Outcome(*(np.stack(field) for field in zip(*outcomes, strict=True))) for name, outcomes in found.items()}


def _sampler(attempts: Attempts, numbers: "Numbers") -> Sampler:
    """Draws from one problem, each only once: by plan, token budget and how many attempts of the plan are begun."""

    @cache
    def sampler(plan: tuple[tuple[str, int], ...], max_tokens: int | None, at_most: int | None) -> Samples:
        cut = attempts if max_tokens is None else attempts.cut(max_tokens)
        return Samples(cut, sampling.sample(cut, dict(plan), numbers, at_most))

    return sampler


def _outcome(recipe: Recipe, allowed: Sequence[QuestionBudget], sampler: Sampler) -> Outcome:
    """One recipe on one problem, [samples]."""
    import numpy as np

    assert not isinstance(recipe.plan, str), "refused before"
    outcome = Outcome(*(np.zeros(len(allowed)) for _ in Outcome._fields))
    for group in _rule_groups(recipe, allowed):
        whole = sampler(tuple(recipe.plan.items()), group.max_tokens, group.at_most)
        part = whole if len(group.rows) == len(allowed) else Samples(whole.attempts, whole.places[group.rows])
        for field, values in zip(outcome, _question(part, group.stops, group.limits, recipe.vote), strict=True):
            field[group.rows] = values
    return outcome


def _allowed(recipe: Recipe, attempts: Attempts, before: Sequence[Outcome], num_questions: int, num_samples: int) -> list[QuestionBudget]:
    """What the clock gives this question in each draw, whose earlier questions are `before`."""
    import numpy as np

    if recipe.time_budget is None:
        return [QuestionBudget(float("inf"))] * num_samples
    expected = _length(recipe.time_budget.model).predict(attempts.problem.statement) if isinstance(recipe.time_budget, Tokens) else None
    used = np.stack([one.seconds for one in before], 1).tolist() if before else [[]] * num_samples
    return [recipe.time_budget.allow(History(num_questions, sum(mine), mine, mine, expected)) for mine in used]


@cache
def _length(path: str) -> LengthModel:
    return LengthModel.load(Path(path))


def _rule_groups(recipe: Recipe, allowed: Sequence[QuestionBudget]) -> list[RuleGroup]:
    """The draws by what their clock gives them."""
    import numpy as np

    if recipe.time_budget is None:
        return [RuleGroup(list(range(len(allowed))), recipe.max_tokens, None, recipe.early_stopping, np.full((len(allowed), 1), np.inf))]
    group: dict[QuestionBudget, list[int]] = defaultdict(list)
    for place, budget in enumerate(allowed):
        group[budget._replace(limit_s=0.0)].append(place)
    return [
        RuleGroup(
            rows,
            min((budget for budget in (recipe.max_tokens, same.max_tokens) if budget is not None), default=None),
            same.candidates,
            [*recipe.early_stopping, *same.stops()],
            np.array([[allowed[row].limit_s] for row in rows]),
        )
        for same, rows in group.items()
    ]


def _question(samples: Samples, stops: Sequence[StopRule], limits: "Numbers", vote: str) -> Outcome:
    """One problem under some rules, [samples]. An attempt that ends after the limit does not count, and no rule sees it."""
    import numpy as np

    tally = samples.tally
    in_time = (tally.at_s <= limits) & (limits > 0)
    decision = decide(stops, tally)
    stop = decision.stop & in_time
    stopped, place = stop.any(-1), stop.argmax(-1)
    rows = np.arange(len(place))
    kept = in_time & ~(stopped[:, None] & (tally.finished - 1 > place[:, None]))
    end = np.where(stopped, tally.at_s[rows, place], np.minimum(tally.at_s[:, -1], limits[:, 0]))
    paid = np.where(kept, 1.0, np.minimum(1.0, end[:, None] / np.maximum(tally.at_s, 1e-9)))
    given_up = stopped & decision.given_up[rows, place]
    return Outcome(
        correct=(winning_answers(samples.sampled_votes(vote), kept) == samples.attempts.gold) & ~given_up,
        correct_before_stop=(samples.hits & kept).any(-1),
        any_correct=samples.hits.any(-1),
        tokens=(paid * samples.tokens).sum(-1),
        seconds=end,
        stopped=stopped,
        given_up=given_up,
    )
