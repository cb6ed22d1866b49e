from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scored import score

from icl_gap.programs.sparql import isomorphism
from icl_gap.schema import Score

COUNT = "SELECT count ( * ) WHERE { %s }"
LIST = "SELECT DISTINCT ?x0 WHERE { %s }"


def verdict(prediction: str, target: str) -> Score:
    return score(prediction, target, "sparql")


@pytest.mark.parametrize(
    ("prediction", "target", "reason"),
    [
        ("M0 a film . M1 p M0", "M1 p M0 . M0 a film", "clause order"),
        ("M0 a film . M0 a film", "M0 a film", "repeated clauses"),
        ("?x1 p M0 . ?x1 q ?x0", "?x0 p M0 . ?x0 q ?x1", "variable names"),
        ("?film p M0", "?x0 p M0", "variable names"),
        ("?x1 p M0 . ?x0 q M0", "?x1 q M0 . ?x0 p M0", "variable names, clause order"),
        (
            "?x0 p M0 . ?x1 p M0 . FILTER ( ?x1 != ?x0 )",
            "?x0 p M0 . ?x1 p M0 . FILTER ( ?x0 != ?x1 )",
            "argument order",
        ),
        (
            "?x0 p M0 . FILTER ( ?x0 != M0 ) . FILTER ( M0 != ?x0 )",
            "?x0 p M0 . FILTER ( ?x0 != M0 )",
            "repeated clauses, argument order",
        ),
        ("M0 p M1 .", "M0 p M1", "punctuation"),
        ("?x0 p M0 FILTER ( ?x0 != M0 )", "?x0 p M0 . FILTER ( ?x0 != M0 )", "punctuation"),
        (
            "?x0 p M0 . FILTER ( ?x0 != M0 ) M0 q ?x0",
            "?x0 p M0 . FILTER ( ?x0 != M0 ) . M0 q ?x0",
            "punctuation",
        ),
        ("M0  p M1", "M0 p M1", "spacing"),
        ("M0 p a.b.c.?x0 q M1", "M0 p a.b.c . ?x0 q M1", "spacing"),
        ("M0 p ?x0.?x0 q M1.", "M0 p ?x0 . ?x0 q M1 .", "spacing"),
        ("FILTER(?x0!=M0).?x0 p M0", "FILTER ( ?x0 != M0 ) . ?x0 p M0", "spacing"),
        ("M0 a.b / ns:c.d | ^ ns:e M1", "M0 a.b/ns:c.d|^ns:e M1", "spacing"),
        ("M0 ns:a.b/ns:c.d ns:m.0k1", "M0 a.b/ns:c.d m_0k1", "namespace"),
    ],
)
def test_one_meaning(prediction: str, target: str, reason: str) -> None:
    found = verdict(COUNT % prediction, COUNT % target)
    assert found == Score(raw=False, canonical=True, reason=reason)


@pytest.mark.parametrize(
    ("prediction", "target", "reason"),
    [
        ("SELECT count(*) WHERE {M0 p M1}", COUNT % "M0 p M1", "spacing"),
        (
            "SELECT count(*) WHERE {\nM0 ns:p ?x0 .\n?x0 a ns:a.b\n}",
            COUNT % "?x0 a a.b . M0 p ?x0",
            "clause order, namespace, spacing",
        ),
        (
            "SELECT DISTINCT ?x1 WHERE { ?x1 p ?x0 . ?x0 q M0 }",
            LIST % "?x0 p ?x1 . ?x1 q M0",
            "variable names",
        ),
    ],
)
def test_one_meaning_in_other_dress(prediction: str, target: str, reason: str) -> None:
    assert verdict(prediction, target) == Score(raw=False, canonical=True, reason=reason)


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (COUNT % "?x0 p M0", LIST % "?x0 p M0"),
        (COUNT % "M0 p M1", COUNT % "M1 p M0"),
        (COUNT % "M0 p M1", COUNT % "M0 q M1"),
        (COUNT % "M0 p ?x0", COUNT % "M0 p M1"),
        (COUNT % "M0 p M1 . M0 q M1", COUNT % "M0 p M1"),
        (COUNT % "?x0 p ?x1 . ?x1 p ?x0", COUNT % "?x0 p ?x1 . ?x1 p ?x2"),
        (LIST % "?x0 p ?x1 . ?x1 q M0", LIST % "?x1 p ?x0 . ?x0 q M0"),
        (COUNT % "?x0 p M0 . ?x1 q M0", COUNT % "?x0 p M0 . ?x0 q M0"),
        (COUNT % "M0 a|ns:b M1", COUNT % "M0 b|ns:a M1"),
        (COUNT % "M0 ^ns:a M1", COUNT % "M1 a M0"),
        (COUNT % "M0 a.b/ns:c M1", COUNT % "M0 a.b/c M1"),
        (COUNT % "?x0 p M0 . FILTER ( ?x0 != M0 )", COUNT % "?x0 p M0 . FILTER ( ?x0 != M1 )"),
    ],
)
def test_different_meanings(prediction: str, target: str) -> None:
    expected = Score(raw=False, canonical=False, reason="different program")
    assert verdict(prediction, target) == expected
    assert verdict(target, prediction) == expected


@pytest.mark.parametrize(
    ("prediction", "what"),
    [
        ("count ( * ) WHERE { M0 p M1 }", "head"),
        ("SELECT ?x0 WHERE { ?x0 p M1 }", "head"),
        ("SELECT DISTINCT M0 WHERE { M0 p M1 }", "head"),
        ("SELECT count ( * )", "head"),
        ("SELECT DISTINCT ? WHERE { M0 p M1 }", "head"),
        ("SELECT count ( * ) WHERE", "not closed"),
        ("Answer: SELECT count ( * ) WHERE { M0 p M1 }", "head"),
        ("SELECT count ( * ) WHERE { M0 p M1 . M2", "not closed"),
        ("SELECT count ( * ) WHERE {", "not closed"),
        (COUNT % "M0 p M1" + " }", "text after the end"),
        (COUNT % "M0 p M1" + " LIMIT 1", "text after the end"),
        ("SELECT count ( * ) WHERE { }", "no clauses"),
        ("SELECT count(*) WHERE {}", "no clauses"),
        (COUNT % "M0 p", "clause"),
        (COUNT % "M0 p M1 M2", "clause"),
        (COUNT % "M0 p M1 M2 q M3", "clause"),
        (COUNT % ".", "clause"),
        (COUNT % ". M0 p M1", "clause"),
        (COUNT % "M0 p M1 . . M0 q M1", "clause"),
        (COUNT % "M0 p M1. . M0 q M1", "clause"),
        (COUNT % "M0 p M1 . .", "clause"),
        (COUNT % "M0 p ?", "clause"),
        (COUNT % "M0 SELECT M1", "clause"),
        (COUNT % "{ M0 p M1", "clause"),
        (COUNT % "M0 p ( M1 )", "clause"),
        (COUNT % "FILTER ( ?x0 = ?x1 )", "filter"),
        (COUNT % "FILTER ( ?x0 != )", "filter"),
        (COUNT % "FILTER ?x0 != ?x1", "filter"),
    ],
)
def test_malformed(prediction: str, what: str) -> None:
    gold = COUNT % "M0 a film"
    assert verdict(prediction, gold).reason == f"malformed: {what}"
    assert verdict(gold, prediction).reason == f"malformed target: {what}"


@dataclass(frozen=True)
class Drawn:
    """A query as parts, so that it can be written in many ways."""

    head: str | None
    triples: tuple[tuple[str, str, str], ...]
    filters: tuple[tuple[str, str], ...]

    def text(self) -> str:
        clauses = [" ".join(triple) for triple in self.triples]
        clauses += [f"FILTER ( {left} != {right} )" for left, right in self.filters]
        return (COUNT if self.head is None else LIST) % " . ".join(clauses)


VARIABLES = tuple(f"?x{n}" for n in range(5))
TERMS = st.sampled_from((*VARIABLES, "M0", "M1"))
PREDICATES = st.sampled_from(("a", "film.film.edited_by", "film.a/ns:b.c", "^ns:people.gender"))
QUERIES = st.builds(
    Drawn,
    st.sampled_from((None, "?x0")),
    st.lists(st.tuples(TERMS, PREDICATES, TERMS), min_size=1, max_size=7).map(tuple),
    st.lists(st.tuples(TERMS, TERMS), max_size=2).map(tuple),
)


def rewritten(text: str, random: Random) -> str:
    """The same meaning: other names, order, repeats, sides and spacing."""
    names = dict(zip(VARIABLES, random.sample([f"?v{n}" for n in range(9)], 5), strict=True))
    head, body = text.removesuffix(" }").split(" WHERE { ")
    clauses = [clause.split() for clause in body.split(" . ")]
    clauses += random.choices(clauses, k=random.randrange(2))
    random.shuffle(clauses)
    for clause in clauses:
        if clause[0] == "FILTER" and random.random() < 0.5:
            clause[2], clause[4] = clause[4], clause[2]
    joined = random.choice((" . ", ".\n", " .")).join(
        " ".join(names.get(word, word) for word in clause)
        if clause[0] != "FILTER"
        else random.choice(("FILTER({} != {})", "FILTER ( {}!={} )")).format(
            names.get(clause[2], clause[2]), names.get(clause[4], clause[4])
        )
        for clause in clauses
    )
    joined = joined.replace(".M", ". M").replace(".F", ". F")
    head = " ".join(names.get(word, word) for word in head.split())
    return f"{head}\tWHERE{random.choice((' ', ''))}{{{joined}{random.choice((' .', ' ', ''))}}}"


@given(QUERIES, st.randoms(use_true_random=False))
def test_rewriting_keeps_the_meaning(query: Drawn, random: Random) -> None:
    text = query.text()
    other = rewritten(text, random)
    found = verdict(other, text)
    assert found.canonical, (other, found)
    assert found.reason
    assert verdict(text, other).canonical


@given(QUERIES, QUERIES, st.randoms(use_true_random=False))
def test_canonical_is_symmetric_and_keeps_under_rewriting(
    left: Drawn, right: Drawn, random: Random
) -> None:
    forth = verdict(left.text(), right.text())
    back = verdict(right.text(), left.text())
    assert forth.canonical == back.canonical
    assert forth.raw == back.raw
    assert verdict(rewritten(left.text(), random), right.text()).canonical == forth.canonical


@given(QUERIES, st.integers(0, 6), PREDICATES, st.randoms(use_true_random=False))
def test_a_changed_predicate_is_never_equal(
    query: Drawn, place: int, predicate: str, random: Random
) -> None:
    place %= len(query.triples)
    subject, old, value = query.triples[place]
    # One clause stands once with the old predicate only: the counts of predicates differ.
    assume(predicate != old)
    assume(len(set(query.triples)) == len(query.triples))
    assume((subject, predicate, value) not in query.triples)
    triples = (*query.triples[:place], (subject, predicate, value), *query.triples[place + 1 :])
    changed = Drawn(query.head, triples, query.filters)
    assert not verdict(rewritten(changed.text(), random), query.text()).canonical


@given(QUERIES, st.integers(0, 6), st.randoms(use_true_random=False))
def test_an_edge_to_a_new_entity_is_never_equal(query: Drawn, place: int, random: Random) -> None:
    place %= len(query.triples)
    subject, predicate, _ = query.triples[place]
    triples = (*query.triples[:place], (subject, predicate, "M9"), *query.triples[place + 1 :])
    changed = Drawn(query.head, triples, query.filters)
    assert verdict(rewritten(changed.text(), random), query.text()).reason == "different program"


@given(st.text(st.sampled_from("?xM0 .{}()*!=/|^aSELECT\n")) | st.text())
def test_no_text_is_an_error(text: str) -> None:
    gold = LIST % "?x0 p M0"
    for framed in (text, COUNT % text, LIST % f"?x0 p M0 . {text}"):
        assert verdict(framed, gold).canonical == verdict(gold, framed).canonical
        assert verdict(framed, framed) == Score(raw=True, canonical=True)


@pytest.mark.parametrize(
    "prediction",
    [
        "{" * 1_000_000,
        "(" * 1_000_000,
        "?" * 1_000_000,
        "." * 1_000_000,
        " " * 500_000 + "x" + "\n" * 500_000,
        COUNT % ("a" * 1_000_000),
        COUNT % ("?x0." * 250_000),
        COUNT % ("/ " * 500_000),
        COUNT % ("M0 a film . " * 100_000),
        COUNT % "".join(f"?x{n} p ?x{n + 1} . " for n in range(50_000)),
        "\ud800" * 300_000,
    ],
    ids=lambda text: repr(text[30:50]),
)
def test_a_megabyte_is_scored(prediction: str) -> None:
    target = COUNT % "M0 a film . M1 a film"
    assert not verdict(prediction, target).canonical
    assert not verdict(target, prediction).canonical


def test_the_bound_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 0)
    found = verdict(COUNT % "?x0 p ?x1 . ?x1 q M0", COUNT % "?x1 p ?x0 . ?x0 q M0")
    assert found == Score(raw=False, canonical=False, reason="undecided: search bound reached")
