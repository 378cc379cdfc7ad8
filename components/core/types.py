"""The rows that travel between stages, as frozen pydantic models.

Covered: what a row holds and what each field means. Not covered: how rows lie on disk (rows.py) and what stages do with them.
Every id is stable: the same inputs give the same ids, so that a row can be traced through all later stages.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One record of a dataset: immutable, no unknown fields, types taken literally ("3" is not 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Topic(Row):
    """One forum topic as it was dumped: the posts in order, the first one is the question."""

    id: str
    posts: tuple[str, ...]
    source: str
    licence: str


class Problem(Row):
    """A problem that asks for one integer."""

    id: str
    statement: str
    answer: int | None
    """The final answer, or None where no one wrote it down."""
    source: str
    licence: str
    group: str
    """Problems of one group (for generated ones: family and numbers) are never on two sides of a split."""
    difficulty: float | None = None
    """0 (easy) to 1 (hard), where the source says so."""
    contaminated_by: tuple[str, ...] = ()
    """Benchmarks that ask this problem too, sorted: a model trained on it cannot take them."""


class Dropped(Row):
    """A row that a stage left out, and why. `other` names the row it collided with."""

    id: str
    statement: str
    reason: str
    detail: str
    other: str | None = None


class CodeRun(Row):
    """One code block that really ran in the sandbox."""

    code: str
    output: str
    """What the model was shown, after truncation."""
    status: Literal["ok", "error", "timeout-kept", "timeout-lost", "crashed"]


class Inserted(Row):
    """A stretch of an attempt's text that it did not generate, as characters [begin, end). An empty one is the seam of two generations."""

    begin: int
    end: int
    output: bool
    """Whether code printed it; else it was put into the attempt's mouth."""


class Candidate(Row):
    """One attempt at a problem. `answer is None` means it abstains, and `abstained` says why."""

    problem: str
    index: int
    mode: str
    """The prompt it was asked with: the name of a file in lib/prompts (cot, tir)."""
    text: str
    """All that follows the prompt: thought, code, outputs, answer."""
    answer: int | None
    """What it votes for: `boxed` or `printed`, as solve's `answer` says."""
    abstained: str | None
    boxed: int | None
    """The answer in its last box."""
    printed: int | None
    """The answer that its last code run printed, where that ran without error."""
    runs: tuple[CodeRun, ...]
    num_tokens: int
    """Generated tokens; code output is not counted."""
    entropies: tuple[float, ...]
    """Mean entropy in nats of each successive window of 32 generated tokens, from the engine's top log-probabilities; empty: not known."""
    seconds: float
    """On the engine's clock since the question was opened (wall seconds, or decode steps times engine.step_s)."""
    finish_reason: Literal["stop", "length", "time", "repetition", "cancelled"]
    seed: int
    rank: int | None
    """Order of finishing among the candidates of its problem, from 0; None where cancelled."""
    isolation: str
    """What the sandbox promised while this ran: strong, confined or weak."""
    parent: int | None
    """The candidate of the same problem whose text this one began with (plans that branch)."""
    inserted: tuple[Inserted, ...] = ()
    """What was put into `text`, in order. Between two of them lies one generation: no token crosses a joint, here or in training."""


class QuestionRecord(Row):
    """How one question of a run went."""

    problem: str
    place: int
    """In the order of the run, from 0."""
    limit_s: float
    used_s: float
    """On the engine's clock."""
    planned: int
    """Attempts that were to count."""
    stopped_by: str | None
    """The kind of the rule that ended it early."""
    given_up: bool
    """Whether that rule took it for lost: the fallback counts, no vote."""


class Judgement(Row):
    """One GenSelect judgement: some candidates were shown in some order and one was chosen."""

    problem: str
    index: int
    round: int
    """From 0. Whoever is chosen in a round of a knockout is shown in the next; independent judgements are all of round 0."""
    shown: tuple[int, ...]
    """Candidate indices in the order of the prompt."""
    seed: int
    text: str
    """The raw verdict."""
    parsed: int | None
    """Position in `shown` that the verdict names, or None where it names none."""
    chosen: int
    """The chosen candidate's index; a seeded random one of `shown` where `parsed` is None."""
    answer: int | None


class Check(Row):
    """One attempt to verify an answer after the run."""

    problem: str
    candidate: int
    kind: Literal["constraint", "rerun", "model"]
    score: float | None
    """1 holds, 0 does not, between: the model's probability of "yes"; None: cannot say."""
    detail: str


class Support(Row):
    """What one answer gathered in a vote."""

    answer: int
    weight: float
    candidates: tuple[int, ...]


class Vote(Row):
    """The outcome of one strategy on one problem; `answer is None` means that nobody voted and nothing was to be answered then."""

    problem: str
    strategy: str
    answer: int | None
    fallback: bool
    """Nobody voted: `answer` is vote.fallback, and never counts as correct."""
    gold: int
    correct: bool
    support: tuple[Support, ...]
    """Strongest first; ties stand in the order in which they were broken."""


class Message(Row):
    """One piece of a chat. Pieces after the last user message are one assistant turn, tool output included, as raw text."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    loss: bool
    """Whether its tokens are trained on. Never true for user, system or tool."""


class Example(Row):
    """One training row."""

    id: str
    problem: str
    candidate: int | None
    """The candidate it was made from."""
    kind: Literal["cot", "tir", "genselect", "distill"]
    messages: tuple[Message, ...]


class Preference(Row):
    """Two answers to one prompt, the first of which is to be preferred."""

    id: str
    problem: str
    messages: tuple[Message, ...]
    """The prompt; none of it carries loss."""
    chosen: tuple[Message, ...]
    """One assistant turn, in pieces as in an Example."""
    rejected: tuple[Message, ...]
    candidates: tuple[int, ...]
    """The candidate that was chosen and the one that was rejected."""
    similarity: float | None
    """Of the two texts, 0 to 1, where it was asked for."""


class Prompt(Row):
    """A prompt whose answers are rewarded by the known final answer. A row without an integer is never one of these."""

    id: str
    problem: str
    messages: tuple[Message, ...]
    gold: int


AnnotationKind = Literal["judgement", "summary", "novelty", "significance", "comparison", "comparison summary"]


class Annotation(Row):
    """A model's words about one candidate, or about several that were compared."""

    problem: str
    shown: tuple[int, ...]
    """Candidate indices; of a comparison and its summary in the order of the prompt."""
    kind: AnnotationKind
    part: int | None
    """Which of the candidate's code blocks, or which of the problem's comparisons, from 0; None where the whole candidate is meant."""
    text: str
    num_tokens: int


class PseudoLabel(Row):
    """A problem whose answer no one wrote down, answered by the majority of its candidates."""

    problem: str
    answer: int
    votes: int
    total: int
