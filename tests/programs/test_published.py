"""The published programs all have a normal form, and keep it however they are written."""

from __future__ import annotations

import gzip
import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from scored import score

from icl_gap.programs.sparql import isomorphism
from icl_gap.schema import Score

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(f"?x{n}" for n in range(9))


@pytest.fixture(scope="module")
def cfq(data_root: Path) -> list[str]:
    """Each query of MCD1 once."""
    queries: dict[str, None] = {}
    for side in ("train", "dev", "test"):
        path = data_root / "cfq" / "mcd1" / f"{side}_decode.txt.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            queries |= dict.fromkeys(line.rstrip("\n") for line in file)
    return list(queries)


@pytest.fixture(scope="module")
def geoquery(data_root: Path) -> list[str]:
    """FunQL in the normalized and in the published form."""
    folder = data_root / "geoquery"
    lines = (folder / "nqg" / "dataset.tsv").read_text(encoding="utf-8").splitlines()
    programs = dict.fromkeys(line.split("\t")[1] for line in lines)
    with gzip.open(folder / "all.jsonl.gz", "rt", encoding="utf-8") as file:
        programs |= dict.fromkeys(json.loads(line)["funql"] for line in file)
    return list(programs)


@pytest.fixture
def random() -> Random:
    return Random(0)  # noqa: S311 - it shuffles, and keeps no secret


def rearranged(query: str, random: Random) -> str:
    head, body = query.removesuffix(" }").split(" WHERE { ")
    clauses = body.split(" . ")
    random.shuffle(clauses)
    names = dict(zip(NAMES, random.sample(NAMES, len(NAMES)), strict=True))
    text = f"{head} WHERE {{ {' . '.join(clauses)} }}"
    return " ".join(names.get(word, word) for word in text.split(" "))


def prefixed(word: str) -> str:
    if word.startswith("m_"):
        return f"ns:m.{word[2:]}"
    named = "." in word and not word.startswith("^")
    return f"ns:{word}" if named else word


def official(query: str) -> str:
    """The query as the archive of the benchmark writes it."""
    head, body = query.removesuffix(" }").split(" WHERE { ")
    lines = [" ".join(map(prefixed, clause.split(" "))) for clause in body.split(" . ")]
    body = " .\n".join(lines)
    return f"{head.replace(' ( * )', '(*)')} WHERE {{\n{body}\n}}"


def test_every_query_of_cfq_equals_itself_rearranged(
    cfq: list[str], random: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No query comes near the bound of the search.
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 100)
    assert len(cfq) > 30_000
    for query in cfq:
        found = score(rearranged(query, random), query, "sparql")
        assert found.canonical, (query, found)


def test_no_query_of_cfq_equals_another_that_lacks_a_clause(cfq: list[str], random: Random) -> None:
    for query in random.sample(cfq, 3000):
        head, body = query.removesuffix(" }").split(" WHERE { ")
        clauses = [clause for clause in body.split(" . ") if not clause.startswith("FILTER")]
        # A clause may stand twice; then it must go twice.
        gone = random.choice(clauses)
        clauses = [clause for clause in body.split(" . ") if clause != gone]
        if clauses:
            shorter = f"{head} WHERE {{ {' . '.join(clauses)} }}"
            assert score(rearranged(shorter, random), query, "sparql").reason == "different program"


def test_the_official_writing_of_cfq_is_read_alike(cfq: list[str], random: Random) -> None:
    for query in random.sample(cfq, 3000):
        found = score(official(query), query, "sparql")
        assert found.canonical, (official(query), found)
        assert found.reason == ("namespace, spacing" if "ns:" in official(query) else "spacing")


def test_every_funql_program_has_a_normal_form(geoquery: list[str]) -> None:
    assert len(geoquery) > 700
    for program in geoquery:
        spaced = program.replace("(", " (\n ").replace(",", " , ") + " "
        found = score(f"({spaced})", program, "funql")
        assert found.canonical, (program, found)
        assert found.reason in ("brackets", "brackets, spacing")


def test_turning_an_intersection_round_keeps_it_equal(geoquery: list[str]) -> None:
    turned = 0
    for program in geoquery:
        start, found, rest = program.partition("intersection ( ")
        if not found:
            continue
        first, _, second = rest.partition(" , ")
        if "(" in first:
            continue  # the first argument is no plain name, and so not cut out by a comma
        end = closing(second)
        other = f"{start}intersection ( {second[:end].rstrip()} , {first} {second[end:]}"
        expected = Score(raw=False, canonical=True, reason="argument order")
        assert score(other, program, "funql") == expected
        turned += 1
    assert turned > 150


def closing(text: str) -> int:
    """Where the bracket closes that was open before the text."""
    depth = 1
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return place
    raise AssertionError(text)
