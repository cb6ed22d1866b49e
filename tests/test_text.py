"""Text that is shown: nothing in it moves a cursor or turns the line around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latex import check_latex

from icl_gap.text import (
    drop_incomplete_character,
    escape_latex,
    plain_number,
    printable,
    signed_number,
)


@given(st.text(st.characters()))
def test_no_text_can_take_the_terminal_over(text) -> None:
    shown = printable(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    shown.encode()
    if text.isprintable():
        assert shown == text


def test_escapes_are_written_out() -> None:
    assert printable("\x1b[31mred\u202e\ud800") == r"\x1b[31mred\u202e\ud800"


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\ufffd")), st.characters(codec="utf-8")
)
def test_an_incomplete_character_is_dropped(text, character) -> None:
    whole = character.encode()
    for end in range(1, len(whole)):
        decoded = (text.encode() + whole[:end]).decode(errors="replace")
        assert drop_incomplete_character(decoded) == text
        assert drop_incomplete_character(f"{text}{end * chr(0xFFFD)}") == text  # one a byte
    assert drop_incomplete_character(f"{text}\ufffd\ufffd\ufffd\ufffd") == f"{text}\ufffd"
    assert drop_incomplete_character(f"\ufffd{text}.") == f"\ufffd{text}."


@pytest.mark.parametrize(
    ("value", "change", "number"),
    [(0.123, "+0.12", "0.12"), (-0.125001, "\u22120.13", "\u22120.13"), (-0.001, "+0.00", "0.00")],
)
def test_numbers_have_a_proper_minus_and_no_negative_zero(
    value: float, change: str, number: str
) -> None:
    assert (signed_number(value), plain_number(value)) == (change, number)


@given(st.text())
def test_no_text_is_a_command_of_latex(text) -> None:
    shown = escape_latex(text)
    check_latex(shown)
    assert "\n" not in shown
    assert "--" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("opt_125m", r"opt\_125m"),
        (r"50% & $x^2$ #1 {a}", r"50\% \& \$x\textasciicircum{}2\$ \#1 \{a\}"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("~a---b", r"\textasciitilde{}a-{}-{}-b"),
        ("[1] * 2", r"{[}1] {*} 2"),
        ("two\nlines\tand é", "two lines\\\\tand é"),
    ],
)
def test_text_is_shown_by_latex_as_it_is(text, shown) -> None:
    if "\t" in text:  # a control character is shown as an escape, as everywhere
        shown = r"two lines\textbackslash{}tand é"
    assert escape_latex(text) == shown
