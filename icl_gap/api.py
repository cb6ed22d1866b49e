"""The faces that need a benchmark's card to be found first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from icl_gap import data, scoring
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
    return data.load(card, split or card.default_split, folder, **options)


def exact_match(prediction: str, target: str, *, dataset: str) -> Score:
    """Score one prediction.

    Args:
        prediction: What a model answered; any string.
        target: The gold target.
        dataset: Whose normal form decides `canonical`: the name or path of a card.

    Returns:
        Raw and canonical exact match, and a reason where they differ or fail.

    Raises:
        DataError: There is no such card.
    """
    return scoring.score(prediction, target, data.load_card(dataset).canonical)


def exact_match_batch(
    predictions: Sequence[str], targets: Sequence[str], *, dataset: str
) -> list[Score]:
    """Score many predictions, in order.

    Args:
        predictions: n strings.
        targets: n strings.
        dataset: As in `exact_match`.

    Raises:
        InputError: The two differ in length.
        DataError: There is no such card.
    """
    return scoring.score_batch(predictions, targets, data.load_card(dataset).canonical)
