"""Tables of notebooks: small, well-formed, and safe whatever the texts hold."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from icl_gap.html_table import LONGEST_TEXT, MOST_ROWS, html_table
from icl_gap.text import printable


class Read(HTMLParser):
    """The tags of a page, and the texts of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.open.append(tag)
        self.tags.append(tag)
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


texts = st.text(max_size=LONGEST_TEXT // 12)


@given(texts, st.dictionaries(texts, texts, min_size=1, max_size=4))
def test_texts_are_shown_as_they_are(caption: str, row: dict[str, str]) -> None:
    read = Read(html_table(caption, [row]))
    assert set(read.tags) == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert read.texts[0] == printable(caption)
    cells = [text for tag, text in zip(read.tags, read.texts, strict=True) if tag in {"th", "td"}]
    assert cells == [printable(text) for text in (*row, *row.values())]


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [{"n": str(n)} for n in range(MOST_ROWS + 5)]
    shown = html_table("numbers", rows)
    assert shown.startswith(f"<div>numbers (the first {MOST_ROWS} of {MOST_ROWS + 5} rows)</div>")
    assert Read(shown).tags.count("td") == MOST_ROWS
    assert "(the first" not in html_table("numbers", rows[:MOST_ROWS])


def test_a_long_text_is_cut() -> None:
    _, cell = Read(html_table("", [{"a": "x" * 10_000}])).texts[-2:]
    assert cell == "x" * (LONGEST_TEXT - 1) + "…"


def test_without_rows_there_is_the_line_alone() -> None:
    assert html_table("nothing", []) == "<div>nothing</div>"


def test_colours_are_left_to_the_notebook() -> None:
    assert "color" not in html_table("a", [{"b": "c"}], left=("b",))
    assert "background" not in html_table("a", [{"b": "c"}], left=("b",))
