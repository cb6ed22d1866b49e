"""The faces that need a benchmark's card to be found first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from icl_gap import data, scoring
from icl_gap.data import DatasetCard
from icl_gap.errors import DataError, InputError, Place
from icl_gap.schema import Benchmark, Score
from icl_gap.scoring import Alike, Summary

_SHOWN = 5
"""Unknown ids that an error names."""
_NOWHERE = Place()


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
    return data.load_split(card, split, folder, **options)


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
        `execution` is None where it cannot be known: for COGS, whose programs are not run, and for
        GeoQuery without an id or without the benchmark's files. A prediction that cannot be run is
        wrong: its `execution` is False.

    Raises:
        DataError: There is no such card.
        InputError: GeoQuery has no example of this id.
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

    Returns:
        n scores, as in `exact_match`. A rate of execution match has all n in its denominator, so
        there is none where one `execution` is None.

    Raises:
        InputError: These differ in length, or GeoQuery has no examples of some of the ids.
        DataError: There is no such card.
    """
    card = data.load_card(dataset)
    programs = _programs(card)
    unknown = _UnknownIds(programs)
    for example_id in example_ids or ():
        unknown.note(example_id)
    unknown.check()
    return scoring.score_batch(
        predictions, targets, card.canonical, alike=programs.alike, example_ids=example_ids
    )


def score_predictions(path: Path, *, dataset: str) -> tuple[Summary, str | None]:
    """Score a file of predictions, of which memory holds one at a time.

    Args:
        path: As `scoring.read_predictions` takes it.
        dataset: As in `exact_match`.

    Returns:
        The summary of the scores; and, where it has no execution match, why, and what to do.

    Raises:
        DataError: There is no such card.
        InputError: The file cannot be read, or GeoQuery has no examples of some of the ids.
    """
    card = data.load_card(dataset)
    programs = _programs(card)
    unknown = _UnknownIds(programs)

    def scores() -> Iterator[Score]:
        for line in scoring.read_predictions(path):
            unknown.note(line.id, Place(path, line.line, "id"))
            yield scoring.score(
                line.prediction,
                line.target,
                card.canonical,
                alike=programs.alike,
                example_id=line.id,
            )

    summary = scoring.summarize(scores())
    unknown.check()
    if summary.execution is not None:
        return summary, None
    without = summary.n - summary.n_executed
    return summary, programs.not_run or (
        f'{without:,} of {summary.n:,} predictions have no "id", which tells what their '
        "placeholders stand for; give each line the id of its example, such as "
        f'"{next(iter(programs.ids or ("geo-0",)))}"'
    )


@dataclass(frozen=True, slots=True)
class _Programs:
    """How to compare what the programs of a benchmark do."""

    alike: Alike | None
    """None where they cannot be run."""
    ids: Collection[str] | None = None
    """Whose programs can be run; None where that does not depend on the example."""
    not_run: str | None = None
    """Why they cannot be run, and what to do."""


def _programs(card: DatasetCard) -> _Programs:
    if card.execution is None:
        return _Programs(None, not_run=f"programs of {card.name} are not run")
    try:
        world = data.load_world(card)
    except DataError as error:
        to_do = "" if error.allowed is None else f"; to measure it, {error.allowed}"
        return _Programs(None, not_run=f"{error.problem}{to_do}")
    ids = None if world is None else world.mentions
    return _Programs(scoring.alike(card.execution, world), ids)


class _UnknownIds:
    """The ids that a benchmark does not have: the first few, and their number.

    Args:
        programs: Of the benchmark.
    """

    def __init__(self, programs: _Programs) -> None:
        self._known = programs.ids
        self._first: list[str] = []
        self._place = Place()
        self._number = 0

    def note(self, example_id: str | None, place: Place = _NOWHERE) -> None:
        """Take note of an id if it is unknown.

        Args:
            example_id: Of a prediction; None where it has none.
            place: Where the id stands.
        """
        if example_id is None or self._known is None or example_id in self._known:
            return
        if not self._number:
            self._place = place
        if len(self._first) < _SHOWN:
            self._first.append(example_id)
        self._number += 1

    def check(self) -> None:
        """Refuse the ids noted.

        Raises:
            InputError: There is one.
        """
        if not self._number or self._known is None:
            return
        rest = self._number - len(self._first)
        shown = ", ".join(map(repr, self._first)) + (f" and {rest:,} more" if rest else "")
        raise InputError(
            f"the benchmark has no examples of {self._number:,} of the ids: {shown}",
            allowed=f"ids such as {', '.join(islice(self._known, 3))}; or none",
            place=self._place,
        )
