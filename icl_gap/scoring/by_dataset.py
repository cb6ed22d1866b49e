"""Scorer of predictions on a benchmark, named by its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from icl_gap import data
from icl_gap.data import DatasetCard
from icl_gap.errors import DataError, InputError, Place
from icl_gap.files import replacing
from icl_gap.metrics import METRICS
from icl_gap.programs.language import Database, Language
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Score
from icl_gap.scoring.exact import score_batch, score_pair
from icl_gap.scoring.predictions import Prediction, Summary, read_predictions, summarize

_SHOWN = 5
"""Unknown ids that an error lists."""
_NOWHERE = Place()


def exact_match(
    prediction: str, target: str, *, dataset: str, example_id: str | None = None
) -> Score:
    """Score one prediction.

    Args:
        prediction: Response of a model; any string.
        target: The gold target.
        dataset: Name or path of the benchmark's card.
        example_id: Id of the example, e.g. `geo-17`. GeoQuery's programs are run only with it, as
            their placeholders differ by example.

    Returns:
        Raw, canonical and execution match, and a reason unless the strings are equal. `execution`
        is None if it cannot be known: for COGS, whose programs cannot be run, and for GeoQuery
        without an id or without the benchmark's files. A prediction that has no result is wrong:
        its `execution` is False.

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
        there is none if one `execution` is None.

    Raises:
        InputError: The lengths differ, or GeoQuery has no examples of some of the ids.
        DataError: There is no such card.
    """
    benchmark = _scored_benchmark(data.load_card(dataset))
    unknown = _UnknownIds(benchmark)
    for example_id in example_ids or ():
        unknown.note(example_id)
    unknown.check()
    return score_batch(
        predictions,
        targets,
        benchmark.language,
        database=benchmark.database,
        example_ids=example_ids,
    )


def score_predictions(
    path: Path, *, dataset: str, out: Path | None = None
) -> tuple[Summary, str | None]:
    """Score a file of predictions; memory holds one at a time.

    Args:
        path: A file that `read_predictions` can read.
        dataset: As in `exact_match`.
        out: A file for the scores, one JSON object for each prediction: the number of its `line`
            in `path`, its `id`, `prediction` and `target`, each metric's outcome (null if it is
            not known), and the `reason`. It is written as a whole, or not at all.

    Returns:
        The summary of the scores; and, if it has no execution match, the cause and the remedy.

    Raises:
        DataError: There is no such card.
        InputError: A file cannot be read or written, or GeoQuery has no examples of some of the
            ids.
    """
    benchmark = _scored_benchmark(data.load_card(dataset))
    unknown = _UnknownIds(benchmark)
    with _writing(out, path) as write:

        def scores() -> Iterator[Score]:
            for line in read_predictions(path):
                unknown.note(line.id, Place(path, line.line, "id"))
                score = score_pair(
                    line.prediction,
                    line.target,
                    benchmark.language,
                    database=benchmark.database,
                    example_id=line.id,
                )
                write(line, score)
                yield score

        summary = summarize(scores())
        unknown.check()
    if summary.accuracies["execution"] is not None:
        return summary, None
    without = summary.n - summary.n_known["execution"]
    return summary, benchmark.not_run or (
        f'{without:,} of {summary.n:,} predictions have no "id", which tells what their '
        "placeholders stand for; give each line the id of its example, such as "
        f'"{next(iter(benchmark.bindings or ("geo-0",)))}"'
    )


@contextmanager
def _writing(out: Path | None, read: Path) -> Iterator[Callable[[Prediction, Score], object]]:
    """Open a file for scores, and return the function that writes one."""
    if out is None:
        yield lambda _line, _score: None
        return
    if out.resolve() == read.resolve():
        raise InputError(
            "the scores would replace the predictions", value=str(out), allowed="another file"
        )
    try:
        with replacing(out) as file:
            yield lambda line, score: file.write(_score_line(line, score))
    except OSError as error:
        raise InputError(
            f"cannot write the scores: {error.strerror or error}",
            allowed="a file in a folder that exists",
            place=Place(out),
        ) from error


def _score_line(line: Prediction, score: Score) -> bytes:
    outcomes: dict[str, bool | None] = {metric: getattr(score, metric) for metric in METRICS}
    row = {**asdict(line), **outcomes, "reason": score.reason}
    return json.dumps(row).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class _ScoredBenchmark:
    """Language and database of a benchmark."""

    language: Language[Any]
    database: Database | None
    not_run: str | None = None
    """Cause and remedy if its programs cannot be run."""

    @property
    def bindings(self) -> Mapping[str, object] | None:
        """Bindings by example id; None if results do not depend on the example."""
        return None if self.database is None else self.database.bindings


def _scored_benchmark(card: DatasetCard) -> _ScoredBenchmark:
    language, database, problem = LANGUAGES[card.language], None, None
    try:
        database = data.load_database(card)
    except DataError as error:
        to_do = "" if error.allowed is None else f"; to measure it, {error.allowed}"
        problem = f"{error.problem}{to_do}"
    if not language.is_executable(database):
        problem = problem or f"programs of {card.name} are not run"
    return _ScoredBenchmark(language, database, problem)


class _UnknownIds:
    """The first few of the ids that a benchmark does not have, and their number."""

    def __init__(self, benchmark: _ScoredBenchmark) -> None:
        self._known = benchmark.bindings
        self._first: list[str] = []
        self._place = _NOWHERE
        self._number = 0

    def note(self, example_id: str | None, place: Place = _NOWHERE) -> None:
        """Remember an id if it is unknown.

        Args:
            example_id: Id of a prediction's example, or None.
            place: Position of the id in its file.
        """
        if example_id is None or self._known is None or example_id in self._known:
            return
        if not self._number:
            self._place = place
        if len(self._first) < _SHOWN:
            self._first.append(example_id)
        self._number += 1

    def check(self) -> None:
        """Refuse the unknown ids.

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
