"""One integer out of a text, or a reason why not."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lib import answers, closed_form
from components.lib.answers import Contest, ParsedAnswer, gold, integer, parse

AIMO2 = Contest(low=0, high=999, modulus=1000)
STRICT = Contest(low=0, high=999, modulus=None)

TEXTS = [
    (r"so \boxed{42}.", 42),
    (r"\boxed{016}", 16),
    (r"\boxed{12.0}", 12),
    (r"\boxed{12.5}", None),
    (r"\boxed{1{,}234}", None),
    (r"\boxed{1,234}", None),
    (r"\boxed{999}", 999),
    (r"\boxed{1000}", None),
    (r"\boxed{-5}", None),
    (r"\boxed{-0}", 0),
    (r"\boxed{\text{42}}", 42),
    (r"\boxed{\textbf{42}}", 42),
    (r"\boxed{\mathbf{42}}", 42),
    (r"\boxed{ 42 }", 42),
    (r"\boxed{42.}", 42),
    (r"\boxed{$42$}", 42),
    (r"\boxed{+42}", 42),
    (r"\boxed{x=42}", 42),
    (r"\boxed{m+n=42}", 42),
    (r"\boxed{42^\circ}", 42),
    (r"\boxed{42^{\circ}}", 42),
    (r"\boxed{42\%}", 42),
    (r"\boxed{\$42}", 42),
    (r"\boxed{42\text{ cm}}", 42),
    (r"\boxed{125\textnormal{ miles}}", 125),
    (r"\boxed{28 percent}", 28),
    (r"\boxed{28 pct}", 28),
    (r"\boxed{28 percentage}", 28),
    (r"\boxed{\frac3{3}}", 1),
    (r"\boxed{\frac63}", 2),
    (r"\boxed{\frac12}", None),
    (r"\boxed{\frac123}", None),
    (r"\boxed{34\ (\text{mod }1000)}", 34),
    (r"\boxed{32,\! 49}", None),
    (r"\boxed{42 \text{ km/h}}", 42),
    (r"\boxed{2^{5}}", 32),
    (r"\boxed{2^{10}}", None),
    (r"\boxed{\frac{10}{2}}", 5),
    (r"\boxed{\frac{1}{2}}", None),
    (r"\boxed{\sqrt{49}}", 7),
    (r"\boxed{3 \cdot 14}", 42),
    (r"\boxed{6!}", 720),
    (r"\boxed{40+2}", 42),
    (r"\boxed{42 \pmod{1000}}", 42),
    (r"\boxed{2042 \equiv 42 \pmod{1000}}", 42),
    (r"\boxed{}", None),
    (r"\boxed{A}", None),
    (r"\boxed{(C) 42}", None),
    (r"\boxed{42, 43}", None),
    (r"\boxed{\{42\}}", 42),
    (r"\boxed{(42)}", 42),
    (r"\boxed{\boxed{42}}", 42),
    (r"\boxed 42", 42),
    (r"\boxed{42", None),
    (r"first \boxed{7} then \boxed{42}", 42),
    (r"\boxed{42} wait, check ... \boxed{4", 42),
    (r"\boxed{42} and the case \boxed{\text{none}}", None),
    ("The answer is **42**", None),
    ("The final answer is 42.", None),
    ("answer: 42", None),
    (r"\fbox{42}", 42),
    (r"\boxed{4\,2}", 42),
    (r"\boxed{0}", 0),
    (r"\boxed{00}", 0),
    (r"\boxed{４２}", 42),
    (r"\boxed{1e2}", 100),
    (r"\boxed{42 = 6 \times 7}", 42),
    (r"\boxed{\dfrac{84}{2}}", 42),
    (r"\boxed{n}", None),
    (r"\boxed{10^{100}}", None),
    (r"\boxed{10^{10^{10}}}", None),
    (r"\boxed{\infty}", None),
    ("$$\\boxed{\n42\n}$$", 42),
    (r"\boxed{42}\boxed{42}", 42),
    (r"\boxed{forty-two}", None),
    (r"\boxed{\left(42\right)}", 42),
    (r"\boxed{\mathrm{Answer: } 42}", 42),
    (r"no box, $x=42$", None),
    (r"\boxed{0.999}", None),
    (r"\boxed{3.0000}", 3),
]


@pytest.mark.parametrize(("text", "wanted"), TEXTS)
def test_the_last_complete_box_is_read_or_the_text_abstains(text: str, wanted: int | None) -> None:
    reading = parse(text, STRICT)
    assert reading.answer == wanted
    assert (reading.answer is None) == (reading.reason is not None)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("", ParsedAnswer(None, "no box", None, False)),
        (r"\boxed{42", ParsedAnswer(None, "unclosed box", None, False)),
        (r"\boxed{n}", ParsedAnswer(None, "not an integer", "n", False)),
        (r"\boxed{}", ParsedAnswer(None, "not an integer", "", False)),
        (r"\boxed{-5}", ParsedAnswer(None, "negative", "-5", False)),
        (r"\boxed{-1005}", ParsedAnswer(None, "negative", "-1005", False)),
        (r"\boxed{1,234}", ParsedAnswer(234, None, "1,234", True)),
        (r"\boxed{1000}", ParsedAnswer(0, None, "1000", True)),
        (r"\boxed{999}", ParsedAnswer(999, None, "999", False)),
        (r"\boxed{10^{13}}", ParsedAnswer(None, "not an integer", "10^{13}", False)),
        (r"\boxed{" + "1+" * 150 + "1}", ParsedAnswer(None, "box too long", "1+" * 150 + "1", False)),
    ],
)
def test_a_reading_says_what_stood_there_and_why_it_abstains(text: str, reading: ParsedAnswer) -> None:
    assert parse(text, AIMO2) == reading


def test_without_a_modulus_a_larger_answer_is_out_of_range() -> None:
    assert parse(r"\boxed{1234}", STRICT) == ParsedAnswer(None, "out of range", "1234", False)


def test_only_what_follows_the_thought_counts() -> None:
    assert parse(r"\boxed{7}</think> so \boxed{8}", STRICT).answer == 8
    assert parse(r"\boxed{7}</think> I do not know", STRICT).reason == "no box"
    assert parse(r"<think>\boxed{7}", STRICT).answer == 7
    assert parse("\\boxed{7}</think>\n", STRICT).answer == 7, "an attempt that was ended there has said no more"


def test_neither_code_nor_its_output_answers() -> None:
    code = "<tool_call>\nprint('\\\\boxed{5}')\n</tool_call>\n```output\n\\boxed{5}\n```\n"
    assert parse(code, STRICT).reason == "no box"
    assert parse(r"\boxed{7} check: " + code + "right.", STRICT).answer == 7
    assert parse(code + r"so \boxed{8}", STRICT).answer == 8
    assert parse(r"I could use <tool_call> but \boxed{9}", STRICT).answer == 9


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x = 2, y = 3", None),
        (r"x = 2 \text{ or } x = 3", None),
        ("2, x = 3", None),
        ("x <= 42", None),
        (r"x \le 3 = 3", None),
        (r"x \approx 42", None),
        ("m = 20 = 22", None),
        ("m + n = 20 + 22 = 42", 42),
        ("a + b + c = 42", 42),
        ("a_{10} = 42", 42),
        ("f(g(3)) = 42", 42),
        ("[ABC] = 42", 42),
        ("|S| = 42", 42),
        (r"\text{Area of } \triangle ABC = 42", 42),
        (r"\overline{AB} = 42", 42),
        (r"\lfloor x \rfloor = 42", 42),
        ("2x + 3y = 1", None),
        ("x - 2y + z - 1 = 0", None),
        ("a^2 + b = 0", None),
        ("x = y", None),
        ("f(1, 2) = 42", 42),
        (r"\angle ABC = 42^\circ", 42),
        (r"2^{100} \equiv 376 \mod 1000", 376),
        (r"42 \text{ (mod 1000)}", 42),
        (r"7 \bmod 3", None),
        ("4²", 16),
        ("2¹⁰", 1024),
        ("42₈", None),
        ("42_8", None),
        ("1, 234", None),
        (r"1,\,234", None),
        (r"1,\!234", 1234),
        ("12,345,678", 12345678),
        ("(1,234)", None),
        ("1.234", None),
        ("0,5", None),
        ("5 5", None),
        (r"3\frac{6}{3}", None),
        ("3!!", None),
        ("2(3)(7)", 42),
        (r"7\sqrt{36}", 42),
        (r"\sqrt{50}", None),
        (r"\binom{10}{5}", 252),
        ("0^0", None),
        ("2^{-1}", None),
        ("1/0", None),
        ("−5", -5),
        ("--5", None),
        ("10^12", 10**12),
        ("10^13", None),
        (r"42\text{ million}", None),
        (r"42\,\text{cm}^2", 42),
        (r"\textbf{(C)}\ 42", None),
        ("(" * 30 + "1" + ")" * 30, None),
        ("15!", None),
        ("", None),
    ],
)
def test_an_integer_is_what_clearly_stands_for_one(text: str, wanted: int | None) -> None:
    assert integer(text) == wanted


@pytest.mark.parametrize("given", [27, 27.0, "27", "027", "27.0", " 27 ", r"\boxed{27}", "$27$"])
def test_golds_are_read_in_every_notation(given: str | float) -> None:
    assert gold(given, AIMO2) == 27


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (1000, "outside 0..999"),
        ("62140", "outside 0..999"),
        (-1, "outside"),
        (27.5, "not an integer"),
        (float("nan"), "not an integer"),
        (float("inf"), "not an integer"),
        (True, "not an integer"),
        ("", "not an integer"),
        (r"\frac{333}{1997}", "not an integer"),
        ("Algebra", "not an integer"),
    ],
)
def test_a_gold_out_of_range_is_refused_never_reduced(given: str | float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        gold(given, AIMO2)


@given(st.integers(-(10**12), 10**12))
def test_every_integer_reads_as_itself(number: int) -> None:
    assert integer(str(number)) == integer(f"{number:,}") == integer(f"x = {number}") == number


@given(st.text(max_size=300) | st.text(alphabet=r"\boxed{}()^!=,.0123456789 frac", max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    reading = parse("\\boxed{" + text, AIMO2)
    assert reading.answer is None or 0 <= reading.answer <= 999


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{10^{10^{10}}}",
        r"\boxed{" * 6000,
        "{" * 50_000 + r"\boxed{1}",
        r"\boxed{" + "9" * 50_000 + "}",
        r"\boxed{" + r"\abcdefgh" * 20 + "x;=1}",
        r"\boxed{" + "a" * 190 + ";=1}",
        r"\boxed{" + "f((" * 60 + "=1}",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    parse(text, AIMO2)
    assert time.process_time() - started < 0.5


def test_a_thread_reads_as_well_as_the_main_one() -> None:
    seen: list[int | None] = []
    thread = threading.Thread(target=lambda: seen.append(parse(r"\boxed{6 \times 7}", AIMO2).answer))
    thread.start()
    thread.join()
    assert seen == [42]


def test_what_is_long_has_no_closed_form() -> None:
    assert closed_form.value("1+" * 39 + "1") == 40
    assert closed_form.value("1+" * 40 + "1") is None
    assert answers.MAX_BOX_CHARS == 200


def test_a_thin_mark_between_groups_of_digits_is_no_list() -> None:
    assert integer(r"32,\! 349") == 32349
