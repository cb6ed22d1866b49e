"""Text that is shown: nothing in it moves a cursor or turns the line around."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icl_gap.text import printable


@given(st.text(st.characters()))
def test_no_text_can_take_the_terminal_over(text) -> None:
    shown = printable(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    shown.encode()
    if text.isprintable():
        assert shown == text


def test_escapes_are_written_out() -> None:
    assert printable("\x1b[31mred\u202e\ud800") == r"\x1b[31mred\u202e\ud800"
