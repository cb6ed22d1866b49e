"""No start of a published program, however it is written, is given up; and a wrong one is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest
from scored import can_match, score

NAMES = tuple(f"?x{n}" for n in range(9))


@pytest.fixture
def random() -> Random:
    return Random(0)  # noqa: S311 - it shuffles, and keeps no secret


@pytest.fixture
def cfq(data_root: Path, random: Random) -> list[str]:
    path = data_root / "cfq" / "mcd1" / "test_decode.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        queries = list(dict.fromkeys(line.rstrip("\n") for line in file))
    return random.sample(queries, 300)


@pytest.fixture(scope="module")
def geoquery(data_root: Path) -> list[str]:
    """FunQL in the normalized and in the published form."""
    folder = data_root / "geoquery"
    lines = (folder / "nqg" / "dataset.tsv").read_text(encoding="utf-8").splitlines()
    programs = dict.fromkeys(line.split("\t")[1].strip() for line in lines)
    with gzip.open(folder / "all.jsonl.gz", "rt", encoding="utf-8") as file:
        programs |= dict.fromkeys(json.loads(line)["funql"] for line in file)
    return list(programs)


def rearranged(query: str, random: Random) -> str:
    head, body = query.removesuffix(" }").split(" WHERE { ")
    clauses = body.split(" . ")
    clauses.append(random.choice(clauses))
    random.shuffle(clauses)
    names = dict(zip(NAMES, random.sample(NAMES, len(NAMES)), strict=True))
    prefix = random.choice(("", "ns:"))
    words = f"{head} WHERE {{ {' . '.join(clauses)} }}".split(" ")
    words = [names.get(word, prefix + word if "." in word[1:] else word) for word in words]
    return " ".join(words).replace(" . ", random.choice((" . ", " .\n", ". ")))


def test_every_start_of_a_rearranged_query_is_possible(cfq: list[str], random: Random) -> None:
    for query in cfq:
        text = rearranged(query, random)
        assert score(text, query, "sparql").canonical, (text, query)
        for end in range(len(text) + 1):
            assert can_match(query[:end], query, "sparql")
            assert can_match(text[:end], query, "sparql"), (text[:end], query)


def test_a_query_with_a_foreign_word_is_given_up(cfq: list[str], random: Random) -> None:
    for query in cfq:
        words = rearranged(query, random).split()
        for place in range(len(words)):
            start = " ".join(words[:place])
            for foreign in ("M99", "film.no.such ", "?x0 ?x0 ?x0", "SELECT ."):
                assert not can_match(f"{start} {foreign}", query, "sparql"), (start, query)
        place = random.randrange(len(words))
        changed = [*words[:place], "M99", *words[place + 1 :]]
        assert not can_match(" ".join(changed[: place + 2]), query, "sparql")


def test_a_query_that_lacks_a_clause_at_its_end_is_given_up(cfq: list[str], random: Random) -> None:
    for query in cfq:
        head, body = query.removesuffix(" }").split(" WHERE { ")
        clauses = body.split(" . ")
        gone = random.choice(clauses)
        left = [clause for clause in clauses if clause != gone]
        shorter = rearranged(f"{head} WHERE {{ {' . '.join(left)} }}", random) if left else "}"
        found = score(shorter, query, "sparql").canonical
        assert can_match(shorter, query, "sparql") == found
        assert not left or can_match(shorter.removesuffix("}"), query, "sparql")


def test_every_start_of_a_program_is_possible(geoquery: list[str], random: Random) -> None:
    assert len(geoquery) > 700
    for program in random.sample(geoquery, 300):
        spaced = program.replace("(", random.choice((" (\n ", "(", "(("))).replace(",", " , ")
        text = f"({spaced}" if spaced.count("(") == program.count("(") else program
        for end in range(len(text) + 1):
            assert can_match(text[:end], program, "funql"), (text[:end], program)


def test_a_program_with_a_foreign_name_is_given_up(geoquery: list[str], random: Random) -> None:
    for program in random.sample(geoquery, 300):
        for end in range(len(program)):
            if program[:end].count("'") % 2 == 0:
                for foreign in ("zzz", " zzz", "(zzz", ")zzz", ",zzz"):
                    start = program[:end] + foreign
                    assert not can_match(start, program, "funql"), (start, program)
