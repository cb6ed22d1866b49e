"""Whether cells of one model agree: as an analysis needs it, and which of them are to blame."""

from __future__ import annotations

from dataclasses import replace

from stored import INFO

from icl_gap.analysis.comparability import _MODEL_FIELDS
from icl_gap.results.agreement import DESCRIPTION, disagreements


def test_it_is_about_what_an_analysis_needs() -> None:
    assert {"family", *DESCRIPTION} == set(_MODEL_FIELDS)  # a family is a label of the manifest


def test_cells_that_agree_have_no_problem() -> None:
    other = replace(INFO, key="cd" * 32, condition="ood", spec={}, provenance={"a": 1})
    assert disagreements([INFO, other]) == {}
    assert disagreements([]) == {}


def test_a_cell_that_knows_less_is_to_blame() -> None:
    less = [replace(INFO, key=f"{n:02x}" * 32, n_params=None) for n in range(3)]
    found = disagreements([*less, INFO])
    assert set(found) == {info.key for info in less}
    assert (
        "its n_params is None, and cell abababababab of the same model says 10" in found["00" * 32]
    )


def test_where_cells_know_different_values_none_is_trusted() -> None:
    less = replace(INFO, key="00" * 32, n_params=None, n_params_non_embedding=None)
    other = replace(INFO, key="cd" * 32, n_params_non_embedding=6)
    found = disagreements([less, INFO, other])
    assert set(found) == {less.key, INFO.key, other.key}
    assert "its n_params_non_embedding is 5, and cell cdcd" in found[INFO.key]
    assert "its n_params_non_embedding is 6, and cell abab" in found[other.key]


def test_other_models_and_benchmarks_may_differ() -> None:
    model = replace(INFO, key="00" * 32, model="b", n_params=1)
    part = replace(INFO, key="01" * 32, dataset="cfq", partial="test 1 of 2")
    assert disagreements([INFO, model, part]) == {}
