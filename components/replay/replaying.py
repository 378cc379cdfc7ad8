"""The replay itself: drawn attempts finish in their own time, the rules of a live sitting say when it is over, and what is there votes.

All attempts of a question begin together and end after their own stored seconds. What a stop or the clock cuts off has generated its
tokens at its own even pace until then. One pass over the problems serves all recipes: those that draw alike share draw and tally. With a
clock each draw is a whole sitting, whose later questions get what the earlier ones left. Knows no files.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.lib.rules.clocks import Allowance, History, Tokens
from components.lib.rules.length_model import Length
from components.lib.rules.stops import Stop, decide
from components.lib.rules.tally import Tally
from components.replay import draws
from components.replay.pool import Attempts
from components.replay.recipe import Recipe
from components.replay.winner import Heard, hear, winner

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers


class Outcome(NamedTuple):
    """What came out, [draws] for one problem or [problems, draws] for all."""

    right: "Numbers"
    """The vote is the gold answer. A question that was given up or that nobody voted on is not right."""
    reached: "Numbers"
    """Some attempt that counted was right: the most that a vote could have reached after the stop."""
    passed: "Numbers"
    """Some drawn attempt was right: the most that waiting for all could have reached."""
    tokens: "Numbers"
    seconds: "Numbers"
    stopped: "Numbers"
    """A rule ended the question."""
    given_up: "Numbers"


class Alike(NamedTuple):
    """Draws in which a question runs under the same rules."""

    rows: list[int]
    max_tokens: int | None
    at_most: int | None
    """How many attempts are begun; None: all of the plan."""
    stops: list[Stop]
    limits: "Numbers"
    """Seconds, [rows, 1]."""


class Drawn:
    """Attempts of one problem, drawn, in order of finishing; what no rule changes is looked up once for all recipes."""

    def __init__(self, attempts: Attempts, places: "Numbers") -> None:
        self.attempts = attempts
        self.places = places
        """int64 [draws, planned]: rows of `attempts`."""
        self.tally = Tally(attempts.answers[places], attempts.at_s[places], places.shape[1])
        self.tokens = attempts.tokens[places]
        self.hits = self.tally.answers == attempts.gold
        self.heard: dict[str, Heard] = {}

    def voices(self, vote: str) -> Heard:
        if vote not in self.heard:
            self.heard[vote] = hear(self.attempts.votes[vote], self.places)
        return self.heard[vote]


Draw = Callable[[tuple[tuple[str, int], ...], int | None, int | None], Drawn]


def replayed(problems: Sequence[Attempts], recipes: Mapping[str, Recipe], num_draws: int, seed: int) -> dict[str, Outcome]:
    """Every recipe on every problem, in the problems' order; values are [problems, draws]."""
    import numpy as np

    found: dict[str, list[Outcome]] = {name: [] for name in recipes}
    for attempts in problems:
        draw = _drawing(attempts, draws.lots(attempts, num_draws, seed))
        for name, recipe in recipes.items():
            allowed = _allowed(recipe, attempts, found[name], len(problems), num_draws)
            found[name].append(_outcome(recipe, allowed, draw))
    return {name: Outcome(*(np.stack(field) for field in zip(*outcomes, strict=True))) for name, outcomes in found.items()}


def _drawing(attempts: Attempts, numbers: "Numbers") -> Draw:
    """Draws from one problem, each only once: by plan, token budget and how many attempts of the plan are begun."""

    @cache
    def draw(plan: tuple[tuple[str, int], ...], max_tokens: int | None, at_most: int | None) -> Drawn:
        cut = attempts if max_tokens is None else attempts.cut(max_tokens)
        return Drawn(cut, draws.drawn(cut, dict(plan), numbers, at_most))

    return draw


def _outcome(recipe: Recipe, allowed: Sequence[Allowance], draw: Draw) -> Outcome:
    """One recipe on one problem, [draws]."""
    import numpy as np

    assert not isinstance(recipe.plan, str), "refused before"
    outcome = Outcome(*(np.zeros(len(allowed)) for _ in Outcome._fields))
    for alike in _alike(recipe, allowed):
        whole = draw(tuple(recipe.plan.items()), alike.max_tokens, alike.at_most)
        part = whole if len(alike.rows) == len(allowed) else Drawn(whole.attempts, whole.places[alike.rows])
        for field, values in zip(outcome, _question(part, alike.stops, alike.limits, recipe.vote), strict=True):
            field[alike.rows] = values
    return outcome


def _allowed(recipe: Recipe, attempts: Attempts, before: Sequence[Outcome], num_questions: int, num_draws: int) -> list[Allowance]:
    """What the clock gives this question in each draw, whose earlier questions are `before`."""
    import numpy as np

    if recipe.clock is None:
        return [Allowance(float("inf"))] * num_draws
    expected = _length(recipe.clock.model).predict(attempts.problem.statement) if isinstance(recipe.clock, Tokens) else None
    used = np.stack([one.seconds for one in before], 1).tolist() if before else [[]] * num_draws
    return [recipe.clock.allow(History(num_questions, sum(mine), mine, mine, expected)) for mine in used]


@cache
def _length(path: str) -> Length:
    return Length.load(Path(path))


def _alike(recipe: Recipe, allowed: Sequence[Allowance]) -> list[Alike]:
    """The draws by what their clock gives them."""
    import numpy as np

    if recipe.clock is None:
        return [Alike(list(range(len(allowed))), recipe.max_tokens, None, recipe.stop, np.full((len(allowed), 1), np.inf))]
    alike: dict[Allowance, list[int]] = defaultdict(list)
    for place, allowance in enumerate(allowed):
        alike[allowance._replace(limit_s=0.0)].append(place)
    return [
        Alike(
            rows,
            min((budget for budget in (recipe.max_tokens, same.max_tokens) if budget is not None), default=None),
            same.candidates,
            [*recipe.stop, *same.stops()],
            np.array([[allowed[row].limit_s] for row in rows]),
        )
        for same, rows in alike.items()
    ]


def _question(drawn: Drawn, stops: Sequence[Stop], limits: "Numbers", vote: str) -> Outcome:
    """One problem under some rules, [draws]. An attempt that ends after the limit does not count, and no rule sees it."""
    import numpy as np

    tally = drawn.tally
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
        right=(winner(drawn.voices(vote), kept) == drawn.attempts.gold) & ~given_up,
        reached=(drawn.hits & kept).any(-1),
        passed=drawn.hits.any(-1),
        tokens=(paid * drawn.tokens).sum(-1),
        seconds=end,
        stopped=stopped,
        given_up=given_up,
    )
