"""The scorer: raw and canonical exact match, and the reason where they are not both plain.

Whether two programs that differ in normal form do the same all the same, `meaning` tells.

A reason is None where the strings are equal. Otherwise it is one of the strings below; where both
texts mean the same, it lists, joined by `, `, what sets them apart.

    canonical  reason                  forms          what it says
    ---------  ----------------------  -------------  --------------------------------------------
    true       variable names          sparql         another name for at least one variable
    true       clause order            sparql         the same clauses, arranged otherwise
    true       repeated clauses        sparql         one has a clause more often than the other
    true       argument order          sparql, funql  sides of `!=`, arguments of `intersection`
    true       punctuation             sparql         a dot more, or less, beside a clause
    true       namespace               sparql         `ns:film.film` for `film.film`
    true       brackets                funql          brackets around a whole expression
    true       spacing                 not number     white space only
    true       wording                 number         another text with the same final number
    false      empty                   all            the prediction holds white space only
    false      malformed: WHAT         not tokens     the prediction is no program
    false      malformed target: WHAT  all            the target is none, so nothing is judged
    false      different program       all            both are well formed and differ in meaning
    false      undecided: WHAT         sparql         the search for a renaming outgrew its bound

    WHAT                  form           what it says
    --------------------  -------------  ---------------------------------------------------------
    empty                 all            of a target alone: it holds white space only
    not closed            sparql, funql  the last `}` or `)` is missing
    text after the end    sparql, funql  something follows the last bracket
    head                  sparql         neither `SELECT count ( * ) WHERE {` nor
                                         `SELECT DISTINCT ?x0 WHERE {`
    no clauses            sparql         nothing stands between the brackets
    clause                sparql         not three terms, or not parted by dots
    filter                sparql         not `FILTER ( a != b )`
    arguments             funql          one is missing, or they belong to no operator
    names side by side    funql          there is no comma between them
    quotes                funql          a `'` is never closed
    search bound reached  sparql         see `isomorphism.WORK_BOUND`
    no number             number         there is none in it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, assert_never

from icl_gap.errors import InputError
from icl_gap.programs import numbers as number
from icl_gap.programs.faults import MalformedError, UndecidedError
from icl_gap.programs.funql import funql_parser as funql
from icl_gap.programs.meaning import Alike
from icl_gap.programs.sparql import sparql_parser as sparql
from icl_gap.schema import CanonicalForm, Score

Program = TypeVar("Program")


def score(
    prediction: str,
    target: str,
    form: CanonicalForm,
    *,
    alike: Alike | None = None,
    example_id: str | None = None,
) -> Score:
    """Compare a prediction with its target.

    Any two strings have a score. The work is bounded by the length of the texts, but for the search
    for a renaming of variables, which has a bound of its own (`isomorphism.WORK_BOUND`).

    Args:
        prediction: What the model answered; may be any text.
        target: The gold program.
        form: The normal form in which both are compared.
        alike: How to compare what they do; without it, `execution` is not known.
        example_id: Whose programs they are; GeoQuery's cannot be run without it.

    Returns:
        Raw, canonical and execution match, and the reason (see the table above) of the first two.
    """
    prediction, target = prediction.strip(), target.strip()
    found = _by_form(prediction, target, form)
    if alike is None:
        return found
    same = found.canonical or alike(prediction, target, example_id)
    return replace(found, execution=same)


def _by_form(prediction: str, target: str, form: CanonicalForm) -> Score:
    if prediction == target:
        return Score(raw=True, canonical=True)
    match form:
        case "tokens":
            return _compare(prediction, target, str.split, _token_differences)
        case "sparql":
            return _compare(prediction, target, sparql.parse, sparql.differences)
        case "funql":
            return _compare(prediction, target, funql.parse, funql.differences)
        case "number":
            return _compare(prediction, target, number.parse, number.differences)
        case _:
            assert_never(form)


def score_batch(
    predictions: Sequence[str],
    targets: Sequence[str],
    form: CanonicalForm,
    *,
    alike: Alike | None = None,
    example_ids: Sequence[str | None] | None = None,
) -> list[Score]:
    """Compare predictions with their targets, pair by pair.

    Args:
        predictions: What the model answered.
        targets: The gold programs, in the same order.
        form: The normal form in which they are compared.
        alike: As in `score`.
        example_ids: Whose programs they are, in the same order; default: not known.

    Returns:
        One score a pair.

    Raises:
        InputError: There are more of the one than of the other.
    """
    for name, others in (("targets", targets), ("example ids", example_ids)):
        if others is not None and len(predictions) != len(others):
            raise InputError(
                f"predictions and {name} do not pair up",
                value=f"{len(predictions)} predictions, {len(others)} {name}",
                allowed="one for each prediction, in the same order",
            )
    ids = [None] * len(predictions) if example_ids is None else example_ids
    return [
        score(prediction, target, form, alike=alike, example_id=example_id)
        for prediction, target, example_id in zip(predictions, targets, ids, strict=True)
    ]


def _compare(
    prediction: str,
    target: str,
    parse: Callable[[str], Program],
    differences: Callable[[Program, Program], list[str] | None],
) -> Score:
    """Score two unequal texts.

    Args:
        prediction: The answer, stripped.
        target: The gold program, stripped.
        parse: Makes a program of a text that is not empty; may raise `MalformedError`.
        differences: What sets two programs of one meaning apart (never empty for unequal texts),
            or None where they differ in meaning; may raise `UndecidedError`.
    """
    try:
        gold = _parse(target, parse)
    except MalformedError as fault:
        return _no_match(f"malformed target: {fault}")
    if not prediction:
        return _no_match("empty")
    try:
        found = differences(parse(prediction), gold)
    except MalformedError as fault:
        return _no_match(f"malformed: {fault}")
    except UndecidedError as fault:
        return _no_match(f"undecided: {fault}")
    if found is None:
        return _no_match("different program")
    return Score(raw=False, canonical=True, reason=", ".join(found))


def _parse(target: str, parse: Callable[[str], Program]) -> Program:
    if not target:
        raise MalformedError("empty")
    return parse(target)


def _no_match(reason: str) -> Score:
    return Score(raw=False, canonical=False, reason=reason)


def _token_differences(prediction: list[str], target: list[str]) -> list[str] | None:
    return ["spacing"] if prediction == target else None
