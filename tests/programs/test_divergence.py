from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.diagnosis import atom_divergence, compound_divergence
from icl_gap.programs.divergence import chernoff_divergence, trees_of
from icl_gap.programs.languages import LANGUAGES

COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 50), min_size=1)
ALPHAS = st.floats(0.05, 0.95)


def test_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/4, 3/4): the coefficient at 0.5 is 2 sqrt(3) / 4.
    assert chernoff_divergence({"a": 3, "b": 1}, {"a": 1, "b": 3}, 0.5) == pytest.approx(
        1 - 3**0.5 / 2
    )
    # At 0.1, half of the pool's mass elsewhere costs little: 1 - 0.5 ** 0.1.
    assert chernoff_divergence({"a": 1, "b": 1}, {"a": 1}, 0.1) == pytest.approx(1 - 0.5**0.1)


@given(COUNTS, ALPHAS)
def test_nothing_lies_apart_from_itself_however_much_of_it_there_is(counts, alpha) -> None:
    more = {key: 7 * count for key, count in counts.items()}
    assert chernoff_divergence(counts, more, alpha) == pytest.approx(0, abs=1e-12)


@given(COUNTS, COUNTS, ALPHAS)
def test_it_lies_between_0_and_1_and_turns_with_alpha(p, q, alpha) -> None:
    found = chernoff_divergence(p, q, alpha)
    assert -1e-12 <= found <= 1
    assert found == pytest.approx(chernoff_divergence(q, p, 1 - alpha))
    assert (found == 1) == (not p.keys() & q.keys())


def test_the_same_atoms_can_make_other_compounds() -> None:
    pool, queries = (
        trees_of(programs, LANGUAGES["tokens"]) for programs in (["A B", "C D"], ["B A", "D C"])
    )
    assert atom_divergence(pool, queries) == pytest.approx(0)
    # Below the root they are the same, side by side they are not.
    assert compound_divergence(pool, queries) > 0.2


def test_what_is_no_program_is_left_out() -> None:
    assert len(trees_of(["answer ( city )", "answer ( ("], LANGUAGES["funql"])) == 1
