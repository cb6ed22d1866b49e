"""The faces that need a benchmark's card to be found first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from icl_gap import data, scoring
from icl_gap.data import DatasetCard
from icl_gap.errors import DataError
from icl_gap.records import Benchmark, Score


def load_benchmark(
    name: str, split: str | None = None, *, root: str | Path | None = None, **options: bool
) -> Benchmark:
    """Load a benchmark.

    Args:
        name: Of a shipped card (`scan`, `cfq`, `geoquery`), or the path of a card of one's own.
        split: One of the card's splits; default: the card's own.
        root: The folder of benchmark files; default: what `ICL_GAP_DATA` names.
        **options: Of the benchmark's loader, e.g. `postprocess=False` for CFQ.

    Returns:
        Both sides of the benchmark, and its fingerprint.

    Raises:
        DataError: There is no such card, split or option, or its files are not to be had.
    """
    card = data.load_card(name)
    folder = None if root is None else Path(root)
    return data.load(card, split, folder, **options)


def exact_match(
    prediction: str, target: str, *, dataset: str, example_id: str | None = None
) -> Score:
    """Score one prediction.

    Args:
        prediction: What a model answered; any string.
        target: The gold target.
        dataset: Whose programs they are: the name or path of a card.
        example_id: Of which example, e.g. `geo-17`. GeoQuery's programs are run only with it, as it
            tells what their placeholders stand for.

    Returns:
        Raw, canonical and execution match, and a reason where the first two differ or fail.
        `execution` is None where programs cannot be run: those of COGS, and those of GeoQuery
        without an id or without the benchmark's files.

    Raises:
        DataError: There is no such card.
    """
    (found,) = exact_match_batch([prediction], [target], dataset=dataset, example_ids=[example_id])
    return found


def exact_match_batch(
    predictions: Sequence[str],
    targets: Sequence[str],
    *,
    dataset: str,
    example_ids: Sequence[str | None] | None = None,
) -> list[Score]:
    """Score many predictions, in order.

    Args:
        predictions: n strings.
        targets: n strings.
        dataset: As in `exact_match`.
        example_ids: n ids, as in `exact_match`; default: none is known.

    Raises:
        InputError: These differ in length.
        DataError: There is no such card.
    """
    card = data.load_card(dataset)
    return scoring.score_batch(
        predictions, targets, card.canonical, alike=_alike(card), example_ids=example_ids
    )


def _alike(card: DatasetCard) -> scoring.Alike | None:
    """How to run a benchmark's programs; None where its files are not at hand."""
    try:
        return scoring.alike(card.execution, data.load_world(card))
    except DataError:
        return None
