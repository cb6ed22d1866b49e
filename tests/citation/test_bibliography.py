"""Every source that cards and the zoo name becomes an entry, and nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latex import check_latex

from icl_gap.citation.bibliography import Bibliography, Source, parse_sources
from icl_gap.data import list_cards
from icl_gap.models.zoo import zoo

CITATIONS = [card.citation for card in list_cards()] + [f.source for f in zoo().values()]


@pytest.mark.parametrize("citation", dict.fromkeys(CITATIONS))
def test_every_source_is_read_whole(citation) -> None:
    sources = parse_sources(citation)
    assert {each.arxiv for each in sources} - {None} == set(re.findall(r"\d{4}\.\d{5}", citation))
    assert len(sources) == len(re.findall(r" (?:19|20)\d\d\b(?!\.)", citation))
    assert all(each.title for each in sources if each.arxiv), "add its title to titles.py"


@pytest.mark.parametrize(
    ("citation", "authors"),
    [
        ("Lake & Baroni 2018, A title: with parts, arXiv 1711.00350", ["Lake & Baroni"]),
        (
            "templates: Loula et al. 2018; MCD: Keysers et al. 2020",
            ["Loula et al.", "Keysers et al."],
        ),
        ("splits after Shen et al. 2019, Ordered Memory", ["Shen et al."]),
        ("van der Wal et al. 2025, arXiv 2503.09543", ["van der Wal et al."]),
        ("the cards beside the weights", []),
        ("none", []),
        ("", []),
    ],
)
def test_sources_are_found_in_citations(citation, authors) -> None:
    assert [each.authors for each in parse_sources(citation)] == authors


def test_entries_are_bibtex() -> None:
    books = Bibliography()
    cited = books.cite(
        parse_sources("Kim & Linzen 2020, COGS & more; Qwen team 2024; Le et al. 2022")
    )
    assert cited == r"~\cite{kim2020,qwenteam2024,le2022}"
    first, second, third = books.entries()
    assert first == (
        "@misc{kim2020,\n  author = {Kim and Linzen},\n  year = {2020},\n"
        "  title = {{COGS \\& more}},\n}"
    )
    assert "author = {{Qwen team}}" in second
    assert "author = {Le and others}" in third
    for each in (first, second, third):
        check_latex(each)


def test_a_source_has_one_key_and_two_sources_have_two() -> None:
    books = Bibliography()
    one, two = (Source("Olmo team", "2025", None, n) for n in ("2501.00656", "2512.13961"))
    assert books.cite([one, one]) == r"~\cite{olmoteam2025}"
    assert books.cite([two, one]) == r"~\cite{olmoteam2025b,olmoteam2025}"
    assert len([*books.entries()]) == 2
    assert books.cite([]) == ""


@given(st.text())
def test_no_citation_breaks_the_bibliography(citation: str) -> None:
    books = Bibliography()
    check_latex(books.cite(parse_sources(citation)))
    for each in books.entries():
        check_latex(each)
