"""Forms of the gap over scale, against the parameters that made the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.analysis.pairing import Floats
from icl_gap.analysis.scaling.forms import FORMS, Form, precision_of, solve

X = np.linspace(-1, 1, 6)
TRUE = {
    "constant": [0.4],
    "linear": [0.4, -0.2],
    "power law": [np.log(0.4), -0.5],
    "power law with floor": [np.log(0.3), -1.2, 0.1],
    "logistic accuracies": [0.5, 1.0, -0.5, 1.2],
}
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def data(form: Form, noise: float, of: int = 400) -> tuple[Floats, Floats]:
    """The true values, and draws around them whose neighbours correlate."""
    values = form.curve(np.array(TRUE[form.name]), X)
    rng = np.random.default_rng(0)
    shared = rng.normal(0, noise, (of, 1))
    return values, values + shared + rng.normal(0, noise, (of, len(values)))


@each_form
def test_parameters_are_recovered_where_there_is_no_noise(form: Form) -> None:
    values, draws = data(form, 0.01)
    assert solve(form, X, values, precision_of(draws.T)) == pytest.approx(TRUE[form.name], abs=1e-3)


def test_the_gap_of_accuracies_is_the_one_that_follows_from_them() -> None:
    (form,) = (form for form in FORMS if form.of_accuracies)
    parameters = np.array(TRUE[form.name])
    inside, outside = np.split(form.curve(parameters, X), 2)
    np.testing.assert_allclose(form.gap(parameters, X), (inside - outside) / inside)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_weights_are_sound_however_alike_the_rows(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.repeat(rng.normal(size=(1, 60)), n, axis=0) * rng.integers(0, 3, size=(n, 1))
    precision = precision_of(rows)
    assert np.isfinite(precision).all()
    assert (np.linalg.eigvalsh(precision) > 0).all()


def test_scatter_is_added_to_the_variances() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 200_000))
    found = precision_of(rows, np.array([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(found, np.diag([1, 1 / 2, 1 / 4]), atol=0.02)


def test_independent_rows_weigh_as_the_inverse_of_their_variance() -> None:
    rng = np.random.default_rng(0)
    precision = precision_of(rng.normal(size=(3, 200_000)) * np.array([[1.0], [2.0], [4.0]]))
    np.testing.assert_allclose(precision, np.diag([1, 1 / 4, 1 / 16]), atol=0.02)
