"""Predictions read from a file, and the summary of their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import jsonlines

from icl_gap.errors import InputError, Place
from icl_gap.files import open_regular
from icl_gap.html_table import html_table
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, Score
from icl_gap.text import brief

_LINE_FORMAT = (
    'one JSON object a line, as {"prediction": "…", "target": "…"}, with an "id" if you like'
)
LONGEST_LINE = 2**24
"""Bytes of the longest line; a longer one is refused before all of it is read."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One line of a file of predictions."""

    id: str | None
    """Id of the example; None if the line has none."""
    prediction: str
    target: str
    line: int
    """Number of the line, from 1."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Rates of match over a number of scores."""

    n: int
    accuracies: dict[Metric, float | None]
    """Share of matches by metric, in [0, 1], of all `n`; None unless every outcome is known."""
    n_known: dict[Metric, int]
    """Number of scores whose outcome is known, by metric."""
    reasons: dict[str, int]
    """Counts of the reasons, the most frequent first, then by name."""

    def interval(self, metric: Metric) -> tuple[float, float] | None:
        """Return Wilson's 95 % interval of an accuracy; None unless every outcome is known.

        Predictions count as independent, so the interval is too narrow where many are answers to
        one query. Sources: Wilson 1927, JASA 22(158); Brown, Cai & DasGupta 2001, Statistical
        Science 16(2).

        Args:
            metric: The metric.
        """
        from scipy.stats import binomtest

        accuracy = self.accuracies[metric]
        if accuracy is None:
            return None
        found = binomtest(round(accuracy * self.n), self.n).proportion_ci(0.95, "wilson")
        return float(found.low), float(found.high)

    def __repr__(self) -> str:
        known = {metric: each for metric, each in self.accuracies.items() if each is not None}
        accuracies = (f"{metric} {each:.4f}" for metric, each in known.items())
        return brief("Summary", f"{self.n:,} predictions", *accuracies)

    def _repr_html_(self) -> str:
        rows = [
            {"match": METRICS[metric].name, "accuracy": f"{accuracy:.4f}"}
            | {"95% interval (Wilson)": f"[{ends[0]:.4f}, {ends[1]:.4f}]"}
            if accuracy is not None and (ends := self.interval(metric))
            else {"match": METRICS[metric].name, "accuracy": "not measured"}
            | {"95% interval (Wilson)": ""}
            for metric, accuracy in self.accuracies.items()
        ]
        return html_table(f"{self.n:,} predictions", rows, left=("match",))


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Read a JSONL file of predictions, line by line; empty lines are skipped.

    Keys other than `prediction`, `target` and `id` are ignored. Memory holds one line at a time.

    Args:
        path: A regular file in UTF-8, or a symbolic link to one. Lines end with a line feed.

    Yields:
        One prediction for each line, in order.

    Raises:
        InputError: The file cannot be read, or a line is too long, is not a JSON object, lacks a
            key, or has a value that is not text. It names the file, the line and the key.
    """
    try:
        with open_regular(path, follow=True) as file:
            for number in count(1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    break
                place = Place(path, number)
                if len(line) > LONGEST_LINE:
                    allowed = f"at most {LONGEST_LINE:,} bytes a line"
                    raise InputError("this line is too long", allowed=allowed, place=place)
                if line.strip():
                    yield _read_line(line, number, place)
    except OSError as error:
        problem = f"cannot read the predictions: {error.strerror or error}"
        raise InputError(problem, place=Place(path), allowed=_LINE_FORMAT) from error


def summarize(scores: Iterable[Score]) -> Summary:
    """Summarize scores, of which memory holds one at a time.

    Args:
        scores: The scores; at least one.

    Raises:
        InputError: There are no scores.
    """
    n = 0
    known: Counter[Metric] = Counter()
    matches: Counter[Metric] = Counter()
    reasons: Counter[str] = Counter()
    for score in scores:
        n += 1
        known.update(score.outcomes.keys())
        matches.update(metric for metric, outcome in score.outcomes.items() if outcome)
        if score.reason is not None:
            reasons[score.reason] += 1
    if n == 0:
        raise InputError("there is nothing to score", allowed="at least one prediction")
    return Summary(
        n=n,
        accuracies={m: matches[m] / n if known[m] == n else None for m in METRICS},
        n_known={m: known[m] for m in METRICS},
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _read_line(line: bytes, number: int, place: Place) -> Prediction:
    shown = line.decode("utf-8", "replace").strip()
    try:
        # A reader for each line, because a reader for the file would hide the lines' numbers.
        value = jsonlines.Reader([line]).read(type=dict)
    except (jsonlines.InvalidLineError, RecursionError) as error:
        raise InputError(
            "not a JSON object", value=shown, allowed=_LINE_FORMAT, place=place
        ) from error
    name = value.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        raise InputError(
            "an id is text or a whole number", value=name, place=Place(place.file, place.line, "id")
        )
    return Prediction(
        None if name is None else str(name),
        _text_at("prediction", value, place),
        _text_at("target", value, place),
        number,
    )


def _text_at(key: str, value: dict[str, Any], place: Place) -> str:
    if key not in value:
        raise InputError(
            f"the key `{key}` is missing", value=value, allowed=_LINE_FORMAT, place=place
        )
    text = value[key]
    if not isinstance(text, str):
        here = Place(place.file, place.line, key)
        raise InputError(f"`{key}` is not text", value=text, allowed="a string", place=here)
    return text
