"""Votes: what each strategy weighs, who counts, how ties are broken, what is kept, what is answered where nobody voted."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Check, CodeRun, Judgement, Problem, QuestionRecord, Vote
from components.lib.answers import Contest, parse
from components.lib.votes.ballot import STRATEGIES, Ballot, count, decide, strategies
from components.vote.stage import vote
from tests.row_fixtures import candidate, check, judgement, problem, question_record, run, votes


def ballot(cast: Sequence[int | Candidate], read: Sequence[Judgement] = (), checks: Sequence[Check] = (), **numbers: object) -> Ballot:
    """Candidates in the order of finishing; a number stands for one that boxed it."""
    tries = [one if isinstance(one, Candidate) else candidate(one) for one in cast]
    made = [one.model_copy(update={"index": index, "rank": index}) for index, one in enumerate(tries)]
    return Ballot("p", made, read, checks, votes(**numbers))


def winner(strategy: str, on: Ballot) -> int | None:
    return decide(on, strategy, gold=0).answer


@pytest.mark.parametrize(
    ("strategy", "answers", "wanted"),
    [
        ("majority", [5, 7, 7], 7),
        ("majority", [9, 4, 4, 9], 9),  # a tie goes to the answer that stood first
        ("larger", [4, 9, 9, 4], 9),
        ("larger", [4, 4, 9], 4),
        ("weighted", [20, 20, 21, 21], 21),  # 1.2 against 2.0
        ("weighted", [300, 300, 21], 300),  # 1.2 against 1.0
        ("weighted", [21, 22], 22),  # the larger wins a tie
        ("weighted", [20, 20, 20, 21], 20),  # 1.8 against 1.0
    ],
)
def test_the_winner_of_a_vote(strategy: str, answers: list[int], wanted: int) -> None:
    assert winner(strategy, ballot(answers)) == wanted


def test_the_numbers_of_a_strategy_are_settings() -> None:
    answers = [30, 30, 31]
    assert winner("weighted", ballot(answers)) == 30
    assert winner("weighted", ballot(answers, weighted={"up_to": 30, "multiple_of": 100, "weight": 0.4})) == 31


# ---- programs -------------------------------------------------------------------------------------------------------------


def coded(answer: int, boxed: int | None, printed: int | None, code: str = "print(sum(range(1000)))") -> Candidate:
    return candidate(answer, boxed=boxed, printed=printed, runs=(run(code, str(printed)),))


def test_code_first_hears_the_print_and_the_box_only_where_nothing_was_printed() -> None:
    tries = [coded(5, boxed=5, printed=7), coded(5, boxed=5, printed=7), candidate(5)]
    assert [(s.answer, s.weight) for s in count(ballot(tries), STRATEGIES["code_first"])] == [(7, 2.0), (5, 1.0)]
    assert winner("majority", ballot(tries)) == 5
    both = {"printed": 1.0, "boxed_alone": 1.0, "boxed_beside": 1.0}
    assert winner("code_first", ballot(tries, code_first=both)) == 5


def test_agreement_of_box_and_print_outweighs_two_boxes() -> None:
    assert winner("agreement", ballot([50, 50, coded(70, 70, 70)])) == 70
    assert winner("agreement", ballot([50, 50, coded(70, 70, 71)])) == 50


@pytest.mark.parametrize(
    ("one", "weight"),
    [
        (coded(70, 70, 70), 3.0),
        (coded(70, 70, 70, "print(7)"), 1.5),  # fewer than 20 characters
        (coded(10, 10, 10), 1.5),  # small
        (coded(10, 10, 11, "print(7)"), 0.25),
        (candidate(11), 1.0),
    ],
)
def test_short_programs_and_small_answers_weigh_less(one: Candidate, weight: float) -> None:
    assert count(ballot([one]), STRATEGIES["agreement"])[0].weight == weight


def test_programs_that_begin_alike_are_no_second_opinion() -> None:
    alike = "total = 0\nfor k in range(1000):\n    total += k\n"
    tries = [coded(50, 50, 50, alike + "print(1)"), coded(50, 50, 50, alike + "print(total)"), coded(70, 70, 70, f"n = 1\n{alike}")]
    support = count(ballot([*tries, candidate(70)]), STRATEGIES["distinct"])
    assert [(s.answer, s.weight) for s in support] == [(70, 2.0), (50, 1.0)]
    short = [coded(50, 50, 50, "print(50)"), coded(50, 50, 50, "print(50)")]
    assert count(ballot(short), STRATEGIES["distinct"])[0].weight == 2.0  # too short to tell


def test_the_20th_place_takes_discount_and_bonus_together() -> None:
    alike = "total = 0\nfor k in range(1000):\n    total += k\nprint(total)"
    tries = [coded(50, 50, 50, alike), coded(50, 50, 50, alike), coded(70, 70, 70, "print(sum(range(10, 1000, 10)))")]
    assert [(s.answer, s.weight) for s in count(ballot(tries), STRATEGIES["programs"])] == [(50, 3.0), (70, 3.0)]
    apart = [candidate(50, boxed=50), coded(50, None, 50, "print(sum(range(10)) + 5)"), candidate(70, boxed=70), candidate(70, boxed=70)]
    assert [(s.answer, s.weight) for s in count(ballot(apart), STRATEGIES["programs"])] == [(50, 6.0), (70, 2.0)]


# ---- entropies ------------------------------------------------------------------------------------------------------------


def sure(answer: int, *entropies: float) -> Candidate:
    return candidate(answer, entropies=entropies)


def test_one_attempt_that_is_very_sure_outvotes_four_that_are_not() -> None:
    """The known weakness of 1/entropy: 20 against 4 times 4."""
    tries = [sure(5, 0.25)] * 4 + [sure(7, 0.05)]
    assert [(s.answer, s.weight) for s in count(ballot(tries), STRATEGIES["inverse_entropy"])] == [(7, 20.0), (5, 16.0)]
    assert winner("tail_entropy", ballot(tries)) == 5


def test_a_text_without_any_entropy_has_a_finite_weight_and_an_unknown_one_has_no_voice() -> None:
    assert count(ballot([sure(5, 0.0)]), STRATEGIES["inverse_entropy"])[0].weight == pytest.approx(1e9)
    assert winner("inverse_entropy", ballot([candidate(7), candidate(7), sure(5, 2.0)])) == 5
    for strategy in ("inverse_entropy", "tail_entropy"):
        assert winner(strategy, ballot([5, 7, 7])) is None


def test_the_tail_counts_and_not_what_came_before_it() -> None:
    late, early = sure(5, 0.1, 2.0), sure(7, 2.0, 0.1)  # equal over the whole text
    one_window = {"tokens": 32, "share": 2.0, "confidence": 0.3, "consensus": 0.5}
    assert winner("tail_entropy", ballot([late, early], tail_entropy=one_window)) == 7
    assert winner("tail_entropy", ballot([late, early], tail_entropy=one_window | {"tokens": 33})) == 5  # two windows: a tie


def test_the_score_of_an_answer_is_the_published_sum() -> None:
    tries = [sure(5, 0.5), sure(5, 1.0), sure(5, 3.0), sure(7, 0.25)]
    five, seven = count(ballot(tries), STRATEGIES["tail_entropy"])
    e = 2.718281828459045
    assert five.weight == pytest.approx(2.0 * 3 / 4 + 0.3 * e**-1.0 + 0.5 * 1 / 3, abs=1e-8)  # the median of all is 0.75
    assert seven.weight == pytest.approx(2.0 * 1 / 4 + 0.3 * e**-0.25 + 0.5, abs=1e-8)


# ---- judgements and checks --------------------------------------------------------------------------------------------------


def test_genselect_counts_readings_and_falls_to_the_majority_where_nothing_was_read() -> None:
    read = [judgement(2, index=0, shown=(0, 2)), judgement(2, index=1, shown=(2, 1)), judgement(0, index=2)]
    assert winner("genselect", ballot([5, 5, 7], read)) == 7
    assert winner("genselect", ballot([5, 5, 7])) == 5
    unparsed = [one.model_copy(update={"parsed": None}) for one in read]
    assert winner("genselect", ballot([5, 5, 7], unparsed)) == 5


def test_of_a_knockout_only_the_final_counts() -> None:
    read = [judgement(0, index=0, shown=(0, 2)), judgement(0, index=1, shown=(0, 1)), judgement(2, index=2, shown=(0, 2), round=1)]
    assert winner("genselect", ballot([5, 5, 7], read)) == 7


def test_readings_of_the_leading_zero_and_of_the_plain_number_are_one_answer() -> None:
    contest = Contest(low=0, high=999, modulus=1000)
    answers = [parse(text, contest).answer for text in (r"\boxed{016}", r"\boxed{16}", r"\boxed{16.0}", r"\boxed{17}", r"\boxed{17}")]
    tries = [candidate(answer) for answer in answers]
    assert [(s.answer, s.candidates) for s in count(ballot(tries), STRATEGIES["majority"])] == [(16, (0, 1, 2)), (17, (3, 4))]


@pytest.mark.parametrize(
    ("checks", "gain", "wanted"),
    [
        ([], 1.0, 50),
        ([check(2, 1.0)], 1.0, 50),  # 2 * (1 + 0) against 1 * (1 + 1): a tie, and 50 stood first
        ([check(2, 1.0)], 2.0, 70),
        ([check(2, None), check(0, None)], 9.0, 50),  # nothing could be said
        ([check(2, 1.0), check(2, 0.0, "model")], 2.0, 50),  # half verified
        ([check(2, 1.0), check(0, 1.0), check(1, 0.0)], 2.0, 50),  # 2 * (1 + 2 / 2) against 1 * (1 + 2)
    ],
)
def test_a_verified_answer_gains(checks: list[Check], gain: float, wanted: int) -> None:
    assert winner("verified", ballot([50, 50, 70], checks=checks, verified={"top": 3, "gain": gain})) == wanted


def test_only_the_top_answers_can_gain_and_unanimous_votes_skip_the_checks() -> None:
    tries = [50, 50, 60, 60, 70]
    beaten = ballot(tries, checks=[check(4, 1.0)], verified={"top": 2, "gain": 9.0})
    assert winner("verified", beaten) == 50
    assert winner("verified", beaten._replace(config=votes(verified={"top": 3, "gain": 9.0}))) == 70
    assert count(ballot([50, 50], checks=[check(0, 1.0)]), STRATEGIES["verified"])[0].weight == 2.0


# ---- what holds for all -------------------------------------------------------------------------------------------------------


def test_nobody_voted_gives_no_answer() -> None:
    for strategy in STRATEGIES.values():
        assert count(ballot([]), strategy) == ()


@pytest.mark.parametrize("fallback", [49, 210, 0])
def test_the_fallback_is_answered_and_never_right(fallback: int) -> None:
    empty = decide(ballot([], fallback=fallback), "majority", gold=fallback)
    assert (empty.answer, empty.fallback, empty.correct) == (fallback, True, False)
    silent = decide(ballot([fallback], fallback=fallback), "inverse_entropy", gold=fallback)  # a candidate, but no vote
    assert (silent.answer, silent.fallback, silent.correct) == (fallback, True, False)
    voted = decide(ballot([fallback], fallback=fallback), "majority", gold=fallback)
    assert (voted.answer, voted.fallback, voted.correct) == (fallback, False, True)
    nothing = decide(ballot([]), "majority", gold=0)
    assert (nothing.answer, nothing.fallback, nothing.correct) == (None, False, False)


def test_support_keeps_the_candidates_behind_an_answer() -> None:
    first, second = count(ballot([5, 7, 7]), STRATEGIES["majority"])
    assert (first.answer, first.weight, first.candidates) == (7, 2.0, (1, 2))
    assert (second.answer, second.candidates) == (5, (0,))


def test_a_candidate_by_lot_is_the_same_each_time_and_not_always_the_first() -> None:
    lots = {winner("arbitrary", ballot([1, 2, 3])._replace(problem=f"p{i}")) for i in range(30)}
    assert lots == {1, 2, 3}


def test_the_heuristic_goes_by_words_and_is_fooled_by_them() -> None:
    tries = [
        candidate(5, text="Maybe 5, perhaps. I guess."),
        candidate(5, text="Probably 5."),
        candidate(7, text="Clearly, thus, hence 7."),
    ]
    assert winner("heuristic", ballot(tries)) == 7


def random_try(draw: random.Random) -> Candidate:
    boxed, printed = draw.choice([3, 40, 200]), draw.choice([None, 3, 40])
    code = draw.choice(["print(1)", "n = 10\nprint(n * sum(range(n)) // (n - 1))"])
    runs: tuple[CodeRun, ...] = () if printed is None else (run(code, str(printed)),)
    return candidate(boxed, boxed=boxed, printed=printed, runs=runs, entropies=(draw.random(), draw.random()))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_strategy_that_weighs_each_candidate_alone_says_so(name: str) -> None:
    """The votes of many are the votes of each, exactly where the strategy claims it."""
    draw = random.Random(name)
    differing = 0
    for _ in range(40):
        whole = ballot([random_try(draw) for _ in range(6)], checks=[check(index, 1.0) for index in range(3)])
        together = list(STRATEGIES[name].cast(whole))
        apart = [vote for one in whole.candidates for vote in STRATEGIES[name].cast(whole._replace(candidates=[one]))]
        differing += sorted(together) != sorted(apart)
    if STRATEGIES[name].per_candidate:
        assert differing == 0
    elif name != "genselect":  # without judgements it is the majority
        assert differing > 0


def test_a_strategy_does_not_change_its_ballot_and_gives_the_same_voices_again() -> None:
    whole = ballot([random_try(random.Random(i)) for i in range(6)])
    for strategy in STRATEGIES.values():
        assert list(strategy.cast(whole)) == list(strategy.cast(whole))


def test_a_name_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"vote\.strategies: no strategy 'majorty', did you mean 'majority'\?; there are: "):
        strategies(["majorty"])


def test_the_stage_votes_on_every_problem_and_counts_those_without_an_answer(tmp_path: Path) -> None:
    exam = [problem("p", 7), problem("q", 49), problem("r", 3), problem("late", 2), problem("lost", 5)]
    tries = [candidate(7, "p", 0, rank=1), candidate(5, "p", 1, rank=0), candidate(None, "q"), candidate(3, "r", 0), candidate(4, "r", 1)]
    tries += [candidate(5, "lost")]
    paths = {name: tmp_path / f"{name}.parquet" for name in ("problems", "candidates", "questions", "judgements", "checks", "out")}
    rows.write(paths["problems"], exam, Problem)
    rows.write(paths["candidates"], tries, Candidate)
    rows.write(
        paths["questions"],
        [
            question_record("p"),
            question_record("q"),
            question_record("r"),
            question_record("late", limit_s=0.0),
            question_record("lost", given_up=True),
        ],
        QuestionRecord,
    )
    rows.write(paths["judgements"], [judgement(0, "p")], Judgement)
    rows.write(paths["checks"], [check(1, 1.0, name="r"), check(0, 0.0, name="r")], Check)
    told = vote(votes(strategies=["majority", "genselect", "verified"], fallback=49, fallback_out_of_time=210), **paths)
    assert told["correct"] == {"majority": 1, "genselect": 2, "verified": 0}
    assert told["unanswered"] == dict.fromkeys(("majority", "genselect", "verified"), 3)
    found = {(cast.problem, cast.strategy): cast for cast in rows.read(paths["out"], Vote)}
    assert len(found) == 15
    assert (found["late", "majority"].answer, found["lost", "majority"].answer) == (210, 49)
    assert found["p", "majority"].answer == 5  # the first to finish
    assert (found["q", "majority"].answer, found["q", "majority"].fallback, found["q", "majority"].correct) == (49, True, False)
    assert found["r", "verified"].answer == 4
