"""The generator's promises: solutions agree, groups split cleanly, seeds decide, numbers stay small."""

import contextlib
import io
import re
from random import Random

import pytest

from components.lib import arithmetic
from components.lib.arithmetic import FAMILIES, GeneratedProblem, document, misread, problem, split_class
from components.lib.arithmetic.documents import LOOKUPS

SEEDS = range(2000)


def printed(program: str, names: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, names)
    return out.getvalue().strip()


def last_printed(drawn: GeneratedProblem) -> str:
    names: dict[str, object] = {}
    return [printed(program, names) for program in drawn.programs][-1]


def test_programs_print_the_answer() -> None:
    assert [last_printed(problem(seed)) for seed in SEEDS] == [str(problem(seed).answer) for seed in SEEDS]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_working_ends_in_the_answer(family: str) -> None:
    for seed in range(200):
        drawn = problem(seed, family)
        assert re.split(r"\D+", drawn.working[-1])[-1] == str(drawn.answer) or family in {"divisors", "congruence", "multiples"}
        if family in {"divisors", "congruence"}:
            assert re.findall(r"(\d+):", drawn.working[-1])[-1] == str(drawn.answer)


def test_every_number_is_one_that_the_tokenizer_has() -> None:
    for seed in SEEDS:
        drawn = problem(seed)
        texts = [drawn.statement, *drawn.working, *drawn.programs, str(drawn.answer), *(piece.text for piece in document(seed))]
        assert all(int(number) <= 199 for number in re.findall(r"\d+", " ".join(texts))), drawn


def test_each_family_and_both_sizes_occur() -> None:
    seen = {(problem(seed).family, problem(seed).size) for seed in SEEDS}
    assert seen == {(family, size) for family in FAMILIES for size in (0, 1)}


def test_the_seed_decides_the_text() -> None:
    assert problem(7) == problem(7)
    assert document(7) == document(7)
    assert len({problem(seed).statement for seed in SEEDS}) > 1000


def test_one_question_is_one_group_whatever_its_wording() -> None:
    assert problem(3, "gcd")._replace(numbers=(14, 8)).group == "gcd(8, 14)" == problem(3, "gcd")._replace(numbers=(8, 14)).group
    statements = {}
    for seed in range(5000):
        statements.setdefault(problem(seed).group, set()).add(problem(seed).statement)
    assert max(map(len, statements.values())) > 1


def test_the_eight_classes_share_no_statement() -> None:
    classes: dict[int, set[str]] = {}
    for seed in range(8000):
        drawn = problem(seed)
        classes.setdefault(split_class(drawn.group), set()).add(drawn.statement)
    assert sorted(classes) == list(range(8))
    assert len(set.union(*classes.values())) == sum(map(len, classes.values()))


def test_no_base_document_shows_a_program_of_an_exam_problem() -> None:
    exam = {drawn.statement for drawn in map(problem, range(20000)) if split_class(drawn.group) == 0}
    shown = {piece.text.strip() for seed in range(3000) for piece in document(seed)}
    assert len(exam) > 500
    assert not exam & shown


def test_documents_are_lookups_and_programs_in_the_stated_shares() -> None:
    documents = [document(seed) for seed in SEEDS]
    programs = [pieces for pieces in documents if "print(" in pieces[-1].text]
    assert 0.26 < len(programs) / len(documents) < 0.34
    assert all([piece.has_loss for piece in pieces] == [False, True] for pieces in programs)


@pytest.mark.parametrize("lookup", LOOKUPS, ids=lambda lookup: lookup.__name__)
def test_a_lookup_gives_its_inputs_and_trains_on_what_follows(lookup) -> None:  # type: ignore[no-untyped-def]
    for seed in range(100):
        line = lookup(Random(seed), seed % 2)
        assert line.count("|") == 1 + (lookup.__name__ == "_committee")
        given, _, rest = line.partition("|")
        assert given or lookup.__name__ == "_counted_divisors"
        assert rest or lookup.__name__ == "_multiples_modulo"


def test_a_misreading_keeps_the_statement_and_changes_the_answer() -> None:
    for seed in SEEDS:
        drawn = problem(seed)
        slipped = misread(drawn, Random(seed))
        assert (slipped.statement, slipped.group) == (drawn.statement, drawn.group)
        assert slipped.answer != drawn.answer
        assert last_printed(slipped) == str(slipped.answer)
        assert all(int(number) <= 199 for number in re.findall(r"\d+", " ".join(slipped.working)))


def test_solutions_hold_thought_code_and_box() -> None:
    drawn = next(d for d in map(problem, SEEDS) if d.family == "gcd_remainder")
    working = "\n".join(drawn.working)
    assert arithmetic.cot_solution(drawn) == f"<think>\n{working}\n</think>\nThe answer is \\boxed{{{drawn.answer}}}."
    parts = arithmetic.tir_segments(drawn, forget_import=False)
    assert parts.cells == tuple(f"<tool_call>\n{program}\n</tool_call>" for program in drawn.programs)
    assert parts.thought == "<think>\nFirst find d.\n</think>\n"


def test_a_forgotten_import_is_one_cell_more_where_there_is_an_import() -> None:
    gcd, power = problem(1, "gcd"), problem(1, "power")
    forgot = arithmetic.tir_segments(gcd, forget_import=True).cells
    assert len(forgot) == 2
    assert "import" not in forgot[0]
    with pytest.raises(NameError):
        exec(forgot[0].removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"), {})
    assert arithmetic.tir_segments(power, forget_import=True) == arithmetic.tir_segments(power, forget_import=False)
