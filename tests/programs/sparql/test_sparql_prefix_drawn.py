"""Drawn queries: every start of an equal text is possible, and what is not can end in none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from scored import can_match, score

COUNT = "SELECT count ( * ) WHERE { "
LIST = "SELECT DISTINCT ?x0 WHERE { "
VARIABLES = ("?x0", "?x1", "?x12")
TERMS = st.sampled_from((*VARIABLES, "M0", "m_0k"))
TRIPLES = st.tuples(TERMS, st.sampled_from(("p", "pq", "a.b", "a.b/c", "^p", "?x1")), TERMS)
FILTERS = st.tuples(TERMS, st.just("!="), TERMS)
PLAIN_TARGETS = st.tuples(
    st.sampled_from((COUNT, LIST)), st.lists(TRIPLES | FILTERS, min_size=1, max_size=4)
)
ODD_TERMS = st.sampled_from(("?x0/", "./a", "/a", "a/.", "M0/", "{/a", ")/c", "?x1/b", "ns:/b"))
ODD_TARGETS = st.tuples(
    st.sampled_from((COUNT, LIST)),
    st.lists(
        st.tuples(
            TERMS | ODD_TERMS,
            st.sampled_from(("p", "a/.b", "!/a", "ns:ns:x")),
            TERMS | ODD_TERMS,
        ),
        min_size=1,
        max_size=3,
    ),
)
RANDOMS = st.randoms(use_true_random=False)
Parts = tuple[str, list[tuple[str, str, str]]]


def written(parts: Parts, names: dict[str, str]) -> tuple[str, list[str]]:
    head, clauses = parts
    texts = []
    for clause in clauses:
        subject, predicate, value = [names.get(term, term) for term in clause]
        filtered = f"FILTER ( {subject} != {value} )"
        texts.append(filtered if predicate == "!=" else f"{subject} {predicate} {value}")
    return head.replace("?x0", names.get("?x0", "?x0")), texts


def target_of(parts: Parts) -> str:
    head, clauses = written(parts, {})
    return f"{head}{' . '.join(clauses)} }}"


def rewritten(parts: Parts, random: Random) -> str:
    """Often the same meaning: other names, order, repeats, sides, prefixes, dots and spacing."""
    head, clauses = parts
    clauses = [*clauses, *random.choices(clauses, k=random.randrange(2))]
    random.shuffle(clauses)
    for place, (left, sign, right) in enumerate(clauses):
        if sign == "!=" and random.random() < 0.5:
            clauses[place] = (right, sign, left)
    pool = ("?x0", "?x1", "?x12", "?v", "?x", "?v/b")
    names = dict(zip(VARIABLES, ("?v", *random.sample(pool[:3] + pool[4:], 2)), strict=True))
    head, texts = written((head, clauses), names)
    body = "".join(
        random.choice((" . ", " .\n", " . ", ". ", ".", " .", " ")) + dressed(text, random)
        for text in texts
    )
    if random.random() < 0.3:
        head = re.sub(r" ?([(*){]) ?", r"\1", head)
    return head + body.lstrip(" .\n") + random.choice((" }", "}", " . }", " .}", ". } "))


def dressed(clause: str, random: Random) -> str:
    words = clause.split(" ")
    for place, word in enumerate(words):
        if random.random() < 0.2:
            words[place] = f"ns:m.{word[2:]}" if word.startswith("m_") else f"ns:{word}"
        elif random.random() < 0.3:
            words[place] = re.sub(r"([/|^])", r" \1 " if word[0] != "^" else r"\1 ", word)
    text = " ".join(words)
    return re.sub(r" ?([()]|!=) ?", r"\1", text) if random.random() < 0.2 else text


@given(PLAIN_TARGETS | ODD_TARGETS, RANDOMS)
def test_every_start_of_an_equal_text_is_possible(parts: Parts, random: Random) -> None:
    target = target_of(parts)
    for _ in range(10):
        text = rewritten(parts, random)
        if score(text, target, "sparql").canonical:
            for end in range(len(text) + 1):
                assert can_match(text[:end], target, "sparql"), (text[:end], target)
        else:
            assert not can_match(text, target, "sparql"), (text, target)


NAME = r"\?\w*(?:\s*[/|^]\s*\S*)*"  # the scorer takes `?x0 / a` for a variable


def ends(text: str, parts: Parts) -> Iterator[str]:
    """Ways to go on: any end of any clause under any renaming, then the whole body."""
    yield from ("", "}")
    names = ["".join(name.split()) for name in re.findall(NAME, text)]
    grown = [name + more for name in names[-1:] for more in ("9", "/z")]
    shorter = [re.split(r"[.!()]", name)[0] for name in names] + [n.rstrip(".") for n in names]
    pool = dict.fromkeys((*names, *shorter, *grown, "?f", "?g"))
    used = [name for name in VARIABLES if name in target_of(parts)]
    for chosen in permutations(pool, len(used)):
        head, clauses = written(parts, dict(zip(used, chosen, strict=True)))
        whole = " . ".join(clauses) + " }"
        if "{" not in text:
            yield from (head[cut:] + whole for cut in range(len(head)))
            continue
        turned = [re.sub(r"\( (\S+) != (\S+) \)", r"( \2 != \1 )", text) for text in clauses]
        for clause in dict.fromkeys((*clauses, *turned)):
            prefixed = re.sub(r"(?<!\S)(?=\w)", "ns:", clause).replace("m_", "m.")
            for form in (clause, prefixed):
                for cut in range(len(form) + 1):
                    for space in ("", " ", " . "):
                        yield f"{space}{form[cut:]} . {whole}"


MARKS = st.sampled_from("?./^,!(){}| 1abpmM")
WORDS = st.sampled_from(
    ("?x", "?x12", "a.", " / ", " . ", " .", "FILTER", " FILTER ( ", "FIL", " != ")
)
PIECES = MARKS | WORDS | st.sampled_from(("ns:", "ns:m.", "m_", "M0", "pq "))
SMALL_TARGETS = st.tuples(
    st.sampled_from((COUNT, LIST)),
    st.lists(
        st.tuples(
            st.sampled_from(("?x0", "?x1", "M0")),
            st.sampled_from(("p", "pq", "a.b/c", "!=")),
            st.sampled_from(("?x0", "?x1", "m_0k")),
        ),
        min_size=1,
        max_size=3,
    ),
)


@given(SMALL_TARGETS, RANDOMS, st.lists(PIECES, max_size=2))
def test_a_text_that_some_way_makes_equal_is_not_given_up(
    parts: Parts, random: Random, new: list[str]
) -> None:
    target, text = target_of(parts), rewritten(parts, random)
    start = random.choice(
        (random.randrange(len(text)), random.randrange(text.index("{"), len(text)))
    )
    text = text[:start] + "".join(new)
    if not can_match(text, target, "sparql"):
        equal = [end for end in ends(text, parts) if score(text + end, target, "sparql").canonical]
        assert not equal, (text, target)
    for whole in (text + "}", text + " . }"):
        found = score(whole, target, "sparql").canonical
        assert can_match(whole, target, "sparql") == found, (whole, target)
