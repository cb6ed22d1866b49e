from __future__ import annotations

import pytest
from scored import can_match, score

from icl_gap.programs.sparql import isomorphism

COUNT = "SELECT count ( * ) WHERE { "
LIST = "SELECT DISTINCT ?x0 WHERE { "
GOLD = (
    "?x0 a film.editor . ?x0 film.editor.film m_0k . ?x0 film.b/c ?x1 . ?x1 film.b/c ?x2 . "
    "FILTER ( ?x1 != ?x2 ) }"
)


def possible(text: str, target: str) -> bool:
    found = can_match(text, target, "sparql")
    assert can_match(f" {text}\ufffd", target, "sparql") == found
    return found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "SEL",
        "SELECT",
        "SELECT ",
        "SELECT DIST",
        "SELECT DISTINCT",
        "SELECT DISTINCT ?",
        "SELECT DISTINCT ?any",
        "SELECT DISTINCT ?any\tWH",
        "SELECT DISTINCT?any WHERE",
        "SELECT DISTINCT ?any WHERE{",
    ],
)
def test_heads_that_are_possible(text: str) -> None:
    assert possible(text, LIST + GOLD)


@pytest.mark.parametrize(
    "text",
    [
        "select",
        "SELECTS",
        "SELECT count",
        "SELECT DISTINCTLY",
        "SELECT DISTINCT x",
        "SELECT DISTINCT ? ",
        "SELECT DISTINCT ?x ?",
        "SELECT DISTINCT ?x0 WHERE }",
        "SELECT DISTINCT ?x0 WHERE ?x0",
        "SELECT DISTINCT {",
        "{",
        COUNT,
    ],
)
def test_heads_that_are_not(text: str) -> None:
    assert not possible(text, LIST + GOLD)


def test_the_head_of_a_count() -> None:
    target = f"{COUNT}M0 p M1 }}"
    for end in range(len("SELECT count(*)WHERE{") + 1):
        assert possible("SELECT count(*)WHERE{"[:end], target)
    for text in ("SELECT D", "SELECT count * ", "SELECT count ( * ) )", "SELECT counts", LIST):
        assert not possible(text, target)


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "?",
        "?v",
        "?x0 film.ed",
        "?v film.editor.",
        "?v ns:film.editor.",
        "?v film.editor.film ns:m.",
        "?v film.editor.film ns:",
        "?v a film.editor",
        "?v a film.editor.",
        "?v a film.editor.?",
        "?v a film.editor .",
        "?v a film.editor . ?v film.editor.film m_0",
        "?x1 film.b / c ?",
        "?x1 film.b/",
        "?x1 film.b /",
        "?x1 film.b ",  # which can go on with a slash
        "?w film.b/c ?x0 . ?x0 film.b/c ?",
        "?x0 film.b/c ?x1 . ?x0 a",
        "FIL",
        "FILTER",
        "FILTER(",
        "FILTER ( ?v",
        "FILTER ( ?v !",
        "FILTER ( ?v !=",
        "FILTER ( ?v != ?w",
        "FILTER ( ?v != ?w ) FILTER ( ?w",
        "FILTER ( ?v != ?w ) ?v film.b/c ?w",
        "FILTER ( ?v != ?w ) . ?v film.b/c ?",
        "?v a film.editor FILTER",
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x",
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x1",  # which can go on as `?x12`
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x1 ",  # which can go on as `?x1 /a`
        f"{GOLD[:-2]} .",
        f"{GOLD[:-2]}.",
        f"{GOLD[:-2]} . ?x0 a film.",
        GOLD,
        f"{GOLD} ",
        f"{GOLD[:-2]} . }} \n",
    ],
)
def test_bodies_that_are_possible(text: str) -> None:
    assert possible(f"{COUNT}{text}", COUNT + GOLD)


@pytest.mark.parametrize(
    "text",
    [
        "}",
        "{",
        "M",
        "?v b",
        "?v a film.editor M0",
        "?v a film.editor. . ",
        "?v a film.editor }",
        "?v film.b m",
        "?v film.b/c m",
        "?v a m_0k",
        "?v film . ",
        "FILTER M",
        "FILTER ( M0",
        "FILTER ( ?v =",
        "FILTER ( ?v != ?w ?",
        "FILTER ( ?v != ?w ) )",
        "?v film.b/c FILTER",
        "?v != ?w",
        "?v !",
        GOLD[GOLD.index(" . ") + 3 :],
        f"{GOLD} }}",
        f"{GOLD} x",
    ],
)
def test_bodies_that_are_not(text: str) -> None:
    assert not possible(f"{COUNT}{text}", COUNT + GOLD)


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "? a",
        "?v a film.editor . . ",
        "?v a film.editor ?",
        "?v film.editor ",
        "?v film.editor.film m_0k . ?w a",
        "?v film.editor.film m_0k . ?w film.editor.film",
        "?v a film.editor . ?w film.b/c ?v . ",
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x1 .",
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x0 .",
        "?x0 film.b/c ?x1 . ?x1 film.b/c ?x2 . ?x2 film.b/c ?",
        "?a film.b/c ?b . ?b film.b/c ?c . ?c film.b",
        "?a film.b/c ?b . ?b film.b/c ?c . FILTER ( ?a",
        "?a film.b/c ?b . ?a a film.editor . ?b a",
        "?v film.b/c ?v .",
        "FILTER ( ?v != ?v )",
        "FILTER ( ?v != ?w ) . . ",
        f"{GOLD[:-2]} . ?x3",
    ],
)
def test_bodies_that_are_given_up_at_their_bracket(text: str) -> None:
    """No renaming is searched, and no dot or space judged, before the whole is there."""
    assert possible(f"{COUNT}{text}", COUNT + GOLD)
    assert not possible(f"{COUNT}{text}}}", COUNT + GOLD)
    assert not possible(f"{COUNT}{text} }}", COUNT + GOLD)


def test_a_head_is_only_renamed_to_a_head() -> None:
    assert possible("SELECT DISTINCT ?v WHERE { ?v a", LIST + GOLD)
    gold = GOLD.replace("?x0", "?v")
    assert possible(f"SELECT DISTINCT ?v WHERE {{ {gold}", LIST + GOLD)
    for head in ("?x1", "?x2", "?w"):
        assert not possible(f"SELECT DISTINCT {head} WHERE {{ {gold}", LIST + GOLD)


def test_a_prefix_alone_is_no_term() -> None:
    text = f"{COUNT}M0 p ns: }}"
    assert score(text, f"{COUNT}M0 p M1 }}", "sparql").reason == "malformed: clause"
    assert possible(text[:-2], f"{COUNT}M0 p M1 }}")
    assert not possible(text, f"{COUNT}M0 p M1 }}")


def test_a_search_that_outgrows_its_bound_gives_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = "?a p ?b . ?b p ?c . ?c p ?a"
    line = f"{COUNT}?x p ?y . ?y p ?z . ?z p ?w }}"
    assert not possible(line, f"{COUNT}{ring} }}")
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 0)
    assert possible(f"{COUNT}?x p ?y . ?y p ?z . ?z p ?x }}", f"{COUNT}{ring} }}")
    star = f"{COUNT}?x p ?y . ?x p ?z . ?x p ?w }}"
    assert possible(star, f"{COUNT}?a p ?b . ?a p ?c . ?d p ?a }}")


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        COUNT + "a" * 1_000_000,
        COUNT + "?x0." * 250_000,
        COUNT + "/ " * 500_000,
        COUNT + "M0 a film. " * 100_000 + "x",
        COUNT + "".join(f"?x{n} p ?x{n + 1} . " for n in range(50_000)),
    ],
    ids=lambda text: repr(text[27:47]),
)
def test_a_megabyte_has_an_answer(text: str) -> None:
    assert not can_match(text, f"{COUNT}M0 a film . M1 p ?x }}", "sparql")
