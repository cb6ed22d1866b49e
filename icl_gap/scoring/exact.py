"""Scores of predictions against their targets: raw, canonical and execution match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from icl_gap.errors import InputError
from icl_gap.programs.language import Database, Language
from icl_gap.schema import Score


def score_pair(
    prediction: str,
    target: str,
    language: Language[Any],
    *,
    database: Database | None = None,
    example_id: str | None = None,
) -> Score:
    """Compare a prediction with its target.

    Any two strings have a score. The work is bounded by the length of the texts, except for the
    search for a renaming of variables, which has a bound of its own (`isomorphism.WORK_BOUND`).

    Args:
        prediction: Response of a model; any string.
        target: The gold target.
        language: Language of both.
        database: Database that programs are run on, for languages that need one.
        example_id: Id of the example, for the same languages.

    Returns:
        Raw, canonical and execution match, and the reason of the first two (see the table in
        `icl_gap.programs.language`). `execution` is None if the programs cannot be run.
    """
    found = language.compare(prediction, target)
    if not language.is_executable(database):
        return found
    same = found.canonical or language.same_result(
        prediction.strip(), target.strip(), database, example_id
    )
    return replace(found, execution=same)


def score_batch(
    predictions: Sequence[str],
    targets: Sequence[str],
    language: Language[Any],
    *,
    database: Database | None = None,
    example_ids: Sequence[str | None] | None = None,
) -> list[Score]:
    """Compare predictions with their targets, pair by pair.

    Args:
        predictions: n responses.
        targets: n gold targets.
        language: As in `score_pair`.
        database: As in `score_pair`.
        example_ids: n ids, as in `score_pair`; default: none is known.

    Returns:
        n scores.

    Raises:
        InputError: The lengths differ.
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
        score_pair(prediction, target, language, database=database, example_id=example_id)
        for prediction, target, example_id in zip(predictions, targets, ids, strict=True)
    ]
