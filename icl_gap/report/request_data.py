"""The data of requests in the page.

The fields that filters need are columns with one entry for each request, which the page reads when
it opens. All other fields are in blocks of up to `ROWS` requests, unpacked when a reader opens one
of them: exemplars as integers, fields that models with the same tokenizer share, and fields of the
response. The text of each example is kept once, those of queries first.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import chain, count
from types import MappingProxyType
from typing import Any, TypeVar

from icl_gap.analysis import Metric
from icl_gap.evaluation.texts import SweepTexts, cell_fingerprint
from icl_gap.metrics import METRICS
from icl_gap.report.compressed import CompressedBlocks, browser_json
from icl_gap.schema import CellInfo, CellResult, Condition, Example, Record

T = TypeVar("T")

ROWS = 500
"""RequestData in a block."""
TEXTS = 400
"""Examples in a block."""
PROMPT_FIELDS = ("shots", "coverage", "prompt_sha256", "prompt_tokens", "gold_tokens")
"""Fields of a record that depend on the prompt and the tokenizer only."""
RESPONSE_FIELDS = tuple(
    field.name
    for field in fields(Record)
    if field.name not in {"query_id", "exemplar_ids", "divergence", *PROMPT_FIELDS}
)
OUTCOMES = ("wrong", "right", "not known")
"""Outcomes of scored requests; those of other requests are their statuses."""
CELL_FIELDS = (
    "key", "model", "family", "n_params", "trained", "dataset", "split", "query_split", "condition",
    "shots", "seed",
)  # fmt: skip

TWINS: Mapping[Condition, Condition] = MappingProxyType(
    {"id": "ood", "ood": "id", "ood_matched": "id"}
)
"""Condition whose requests the page shows beside those of each."""


@dataclass(frozen=True, slots=True)
class Side:
    """A cell's place among cells whose requests the page shows beside each other."""

    group: str
    """Text that such cells have in common."""
    name: str
    beside: str
    """The name of the cell to show beside this one."""
    run: str | None = None
    """The results that it is from, where two are compared."""


ExampleKey = str | tuple[str, str]
"""The id of an example; or those of the two that its source and its target are taken from."""


class RequestData:
    """The data of requests, collected one cell at a time.

    Args:
        blocks: The blocks to add to.
        texts: The texts of the benchmarks.
        metric: The match that makes a request right.
    """

    def __init__(self, blocks: CompressedBlocks, texts: SweepTexts, metric: Metric) -> None:
        self._blocks = blocks
        self._texts = texts
        self._metric = metric
        numbers = count()
        self._numbers: defaultdict[str, defaultdict[ExampleKey, int]] = defaultdict(
            lambda: defaultdict(numbers.__next__)
        )
        self._known: dict[str, Mapping[str, Example]] = {}
        self._query, self._outcome, self._divergence = array("I"), array("B"), array("i")
        self._cells: list[dict[str, Any]] = []
        self._peers: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """The cells of each group by their names, e.g. those that differ in their condition."""
        self._beside: list[str] = []
        self._outcomes = {name: n for n, name in enumerate(OUTCOMES)}
        self._templates: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._query)

    def add(self, cell: CellResult, side: Side | None = None) -> Counter[str]:
        """Add a cell.

        Args:
            cell: The cell.
            side: Its place beside others; by default beside its twin under the other condition.

        Returns:
            The number of its requests with each status.
        """
        info = cell.info
        name = cell_fingerprint(info) or f"{info.dataset}/{info.split}"
        numbers = self._numbers[name]
        self._known[name] = self._texts.of(info)
        for record in cell.records:
            self._query.append(numbers[record.query_id])
            self._outcome.append(self._code(record))
            position = -1 if record.divergence is None else record.divergence.position
            self._divergence.append(position)
        self._describe(info, len(cell.records), side or _by_condition(info))
        self._cells[-1]["blocks"] = [
            [
                self._blocks.add(_lists(rows, numbers)),
                self._blocks.add_json([_row(row, PROMPT_FIELDS) for row in rows]),
                self._blocks.add_json([_response(row) for row in rows]),
            ]
            for rows in _batches(cell.records, ROWS)
        ]
        return Counter(record.status for record in cell.records)

    def finish(self, runs: Sequence[str] | None = None) -> int:
        """Add the last blocks, and return the number of the block that lists all others.

        Args:
            runs: The names of two results that are compared.
        """
        positions, texts = self._keep_texts()
        return self._blocks.add_json(
            {
                "cells": self._cells,
                "runs": runs,
                "templates": [json.loads(template) for template in self._templates],
                "outcomes": list(self._outcomes),
                "metric": self._metric,
                "metrics": list(METRICS),
                "columns": [
                    self._blocks.add(_little_endian(column))
                    for column in (self._query, self._outcome, self._divergence)
                ],
                "positions": positions,
                "texts": texts,
                "rowsInBlock": ROWS,
                "textsInBlock": TEXTS,
                "shared": PROMPT_FIELDS,
                "response": ("divergence", *RESPONSE_FIELDS),
            }
        )

    def _code(self, record: Record) -> int:
        return self._outcomes.setdefault(outcome_of(record, self._metric), len(self._outcomes))

    def _describe(self, info: CellInfo, rows: int, side: Side) -> None:
        """Add the description of a cell, and link it to the cell beside it."""
        here = len(self._cells)
        peers = self._peers[side.group]
        template = browser_json(info.spec.get("template"))
        described = {name: getattr(info, name) for name in CELL_FIELDS}
        described["rows"] = rows
        described["template"] = self._templates.setdefault(template, len(self._templates))
        described["chat"] = _chat_form(info)
        described["run"] = side.run
        described["info"] = self._blocks.add_json({"spec": info.spec, "made with": info.provenance})
        self._cells.append(described)
        self._beside.append(side.beside)
        peers[side.name] = here
        for number in peers.values():
            self._cells[number]["twin"] = peers.get(self._beside[number])

    def _keep_texts(self) -> tuple[int, list[int]]:
        """Add the texts, those of queries first, and the position of each example's text."""
        owners = [
            (number, name, id_)
            for name, numbers in self._numbers.items()
            for id_, number in numbers.items()
        ]
        queries = set(self._query)
        owners.sort(key=lambda owner: (owner[0] not in queries, owner[0]))
        positions = array("I", bytes(4 * len(owners)))
        for position, (number, _, _) in enumerate(owners):
            positions[number] = position
        kept = [
            self._blocks.add_json([self._text(name, id_) for _, name, id_ in some])
            for some in _batches(owners, TEXTS)
        ]
        return self._blocks.add(_little_endian(positions)), kept

    def _text(self, name: str, key: ExampleKey) -> list[str | None]:
        id_, target_id = (key, key) if isinstance(key, str) else key
        example, other = self._known[name].get(id_), self._known[name].get(target_id)
        if example is None or other is None:
            return [id_, None, None]
        return [id_, example.source, other.target]


def outcome_of(record: Record, metric: Metric) -> str:
    """Return one of `OUTCOMES`, or the status of a request without a score."""
    if record.status != "scored":
        return record.status
    hit = record.scores.get(metric)
    return "not known" if hit is None else "right" if hit else "wrong"


def _by_condition(info: CellInfo) -> Side:
    """Return the place of a cell among those that differ from it in their condition alone."""
    spec = {key: value for key, value in info.spec.items() if key != "condition"}
    both = (info.model, info.dataset, info.split, info.query_split, info.shots, info.seed)
    return Side(browser_json([*both, spec]), info.condition, TWINS[info.condition])


def _chat_form(info: CellInfo) -> dict[str, Any] | None:
    """Return the form of a cell's messages and the rule of its answers; None where none are sent.

    The model's key names the form: under `chat` for a model that runs here; for one of a server
    only where it is not the default.
    """
    if info.provenance.get("api") != "chat":
        return None
    model = info.spec.get("model")
    known = model if isinstance(model, dict) else {}
    known = known.get("chat") or known
    return {
        "exemplars": known.get("exemplars", "turns"),
        "system": known.get("system"),
        "answer": info.provenance.get("answer"),
    }


def _exemplar_keys(record: Record) -> Sequence[ExampleKey]:
    targets = record.exemplar_target_ids
    ids = record.exemplar_ids
    return ids if targets is None else tuple(zip(ids, targets, strict=True))


def _lists(rows: Sequence[Record], numbers: Mapping[ExampleKey, int]) -> bytes:
    """Return the exemplars of requests: the number of each, then all of them."""
    lengths = array("I", [len(row.exemplar_ids) for row in rows])
    keys = chain.from_iterable(map(_exemplar_keys, rows))
    return _little_endian(lengths + array("I", [numbers[key] for key in keys]))


def _row(record: Record, names: Sequence[str]) -> list[Any]:
    """Return fields of a record for JSON: nested records become objects."""
    return [_plain(getattr(record, name)) for name in names]


def _plain(value: Any) -> Any:
    is_record = is_dataclass(value) and not isinstance(value, type)
    return asdict(value) if is_record else value


def _response(record: Record) -> list[Any]:
    left = record.divergence
    where = left and [left.position, left.expected, left.actual, left.text]
    return [where, *_row(record, RESPONSE_FIELDS)]


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _little_endian(numbers: array[int]) -> bytes:
    """Return little-endian bytes, the order of typed arrays in browsers."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
