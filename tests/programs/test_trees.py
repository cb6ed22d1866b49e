from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap import load_benchmark
from icl_gap.programs.language import MalformedError
from icl_gap.programs.languages import LANGUAGES
from icl_gap.programs.trees import LARGEST, Structures, Tree, local_structures

RIVERS = "answer ( intersection ( river , loc_2 ( m0 ) , longest ( river ) ) )"
FILMS = "SELECT DISTINCT ?x0 WHERE { ?x0 a film.actor . M1 film.editor.film ?x0 }"


def test_an_operator_stands_above_its_arguments() -> None:
    assert LANGUAGES["funql"].tree(RIVERS) == Tree(
        ("answer", "intersection", "river", "loc_2", "m", "longest", "river"),
        (-1, 0, 1, 1, 3, 1, 5),
    )


def test_a_relation_stands_above_its_terms_and_numbers_do_not_count() -> None:
    assert LANGUAGES["sparql"].tree(FILMS) == Tree(
        ("SELECT ?x", "a", "?x", "film.actor", "film.editor.film", "M", "?x"),
        (-1, 0, 1, 1, 0, 4, 4),
    )


def test_actions_are_a_row() -> None:
    tree = LANGUAGES["tokens"].tree("WALK WALK TURN_LEFT")
    assert tree == Tree(("", "WALK", "WALK", "TURN_LEFT"), (-1, 0, 0, 0))
    assert local_structures(tree) == {
        ("", ">", "WALK"),
        ("", ">", "TURN_LEFT"),
        ("WALK", "~", "WALK"),
        ("WALK", "~", "TURN_LEFT"),
    }


def test_structures_are_chains_of_children_and_siblings() -> None:
    tree = LANGUAGES["funql"].tree(RIVERS)
    assert local_structures(tree, 1) == {(label,) for label in tree.labels}
    assert ("river", "~", "loc_2") in local_structures(tree)
    assert ("intersection", ">", "longest") in local_structures(tree)
    assert ("river", "~", "longest") not in local_structures(tree)
    assert ("river", "~", "loc_2", ">", "m") in local_structures(tree, 3)
    assert ("answer", ">", "intersection", ">", "river") in local_structures(tree, 3)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(MalformedError):
        LANGUAGES["funql"].tree("answer ( city")


@given(st.lists(st.sampled_from("ABC"), max_size=6))
def test_every_structure_of_a_row_is_an_n_gram(tokens) -> None:
    tree = LANGUAGES["tokens"].tree(" ".join(tokens))
    grams = {tuple(tokens[n : n + 3]) for n in range(len(tokens) - 2)}
    found = {each[::2] for each in local_structures(tree, 3) if each[0]}
    assert found == grams


@pytest.mark.parametrize(("name", "language"), [("cfq", "sparql"), ("geoquery", "funql")])
def test_every_published_program_has_a_tree(name, language, data_root) -> None:
    del data_root
    for example in load_benchmark(name).test:
        tree = LANGUAGES[language].tree(example.target)
        assert tree.parents[0] == -1
        assert all(0 <= parent < node for node, parent in enumerate(tree.parents) if node)


@given(st.lists(st.sampled_from(["walk", "run", "turn"]), max_size=8))
def test_numbered_structures_are_those_of_the_tree(tokens: list[str]) -> None:
    """Two programs share as many numbers as structures."""
    other = ["walk", "turn", "run", "run"]
    numbered = Structures(LANGUAGES["tokens"].lenient_tree)
    mine, theirs = (numbered(" ".join(each)) for each in (tokens, other))
    trees = [LANGUAGES["tokens"].tree(" ".join(each)) for each in (tokens, other)]
    sizes = range(LARGEST, 0, -1)
    structures = [[local_structures(tree, each) for each in sizes] for tree in trees]
    assert len(mine) == len(set(mine)) == sum(map(len, structures[0]))
    both = sum(len(one & two) for one, two in zip(*structures, strict=True))
    assert len(set(mine) & set(theirs)) == both


def test_structures_are_numbered_alike_whatever_order_sets_have() -> None:
    code = (
        "from icl_gap.programs.funql import FUNQL\n"
        "from icl_gap.programs.trees import Structures\n"
        "number = Structures(FUNQL.lenient_tree)\n"
        "print(number('answer ( intersection ( river , longest ( river ) ) )'))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_what_is_no_program_is_numbered_as_a_row_of_tokens() -> None:
    assert len(Structures(LANGUAGES["funql"].lenient_tree)("answer (")) == 7
