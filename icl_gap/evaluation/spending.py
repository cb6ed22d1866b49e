"""Spending: tokens and dollars of models that servers run, over all runs into one folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from icl_gap import models
from icl_gap.errors import ModelError
from icl_gap.evaluation.repeated import read_kept, write_kept
from icl_gap.results import SPENDING, Results
from icl_gap.schema import Record

_USAGE = ("usage_prompt_tokens", "usage_completion_tokens", "usage_reasoning_tokens")
_SECONDS = 1.0
"""Time between two writes of what was spent."""
_REMEDY = "move it away, and `max_cost` counts from 0 again"


@dataclass(frozen=True, slots=True)
class SpentDollars:
    """The cost of one model, over all runs into one folder."""

    model: str
    dollars: float
    """Cost of all its requests by its `price`, of failed attempts and repeats too."""


def read_spending(folder: Path) -> list[SpentDollars]:
    """Read what the priced models of some results have cost; nothing where there are none.

    Args:
        folder: The results folder.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    return read_kept(folder / SPENDING, SpentDollars, _REMEDY)


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Tokens of one model's scored requests, and the cost of all of its requests."""

    model: str
    requests: int
    prompt_tokens: int | None
    """As the server counts them, or else the model's tokenizer; None where neither is known. A
    prompt that several requests share is counted once by a server."""
    completion_tokens: int | None
    """As the server counts them, those of thinking included; None for a model that runs here."""
    reasoning_tokens: int | None
    """Those of thinking among them; None where the server does not tell."""
    dollars: float | None
    """Cost by the model's `price`, of failed attempts and repeats too; None without a price."""

    def __str__(self) -> str:
        names = ("prompt_tokens", "completion_tokens", "reasoning_tokens")
        words = ("read", "written", "of these for thinking")
        counts = [getattr(self, name) for name in names]
        shown = [f"{n:,} {word}" for n, word in zip(counts, words, strict=True) if n is not None]
        cost = [] if self.dollars is None else [f"${self.dollars:,.4f} in all"]
        return f"{self.model}: {', '.join([*shown, *cost])} ({self.requests:,} requests)"


def count_tokens_used(results: Results) -> list[TokenUse]:
    """Count the tokens and dollars of each model of some results.

    Args:
        results: The results.

    Raises:
        StoreError: A file is damaged.
    """
    dollars = {each.model: each.dollars for each in read_spending(results.folder)}
    found = []
    for model, rows in results.scored_by_model("prompt_tokens", *_USAGE):
        read, written, thought = (
            None if (column := rows[name].dropna()).empty else int(column.sum()) for name in _USAGE
        )
        if read is None and rows["prompt_tokens"].notna().any():
            read = int(rows["prompt_tokens"].sum())
        cost = dollars.get(model)
        found.append(TokenUse(model, len(rows), read, written, thought, cost))
    return found


class CountedModel:
    """A loaded model whose cost is kept.

    Args:
        model: The model.
        ledger: The ledger that keeps it.
        name: The name that it is kept under.
    """

    def __init__(self, model: models.Model, ledger: Ledger, name: str) -> None:
        self.model = model
        self._ledger = ledger
        self._name = name
        self._written = time.monotonic()

    def note(self, *, now: bool = False) -> None:
        """Keep what the model has cost so far, at most once a second unless `now`.

        Raises:
            StoreError: The folder cannot be written.
        """
        if isinstance(self.model, models.PaidModel) and (
            now or time.monotonic() - self._written > _SECONDS
        ):
            self._ledger.keep(self._name, self.model.cost)
            self._written = time.monotonic()


class Ledger:
    """The costs of the priced models of a sweep, so that `max_cost` holds over several runs.

    Args:
        folder: The results folder, which nobody else writes to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SPENDING

    @contextmanager
    def counting(self, spec: models.ModelSpec, identity: models.Identity) -> Iterator[CountedModel]:
        """Load a model that goes on from what it has cost; keep its cost at the end of the block.

        Args:
            spec: The model.
            identity: Its identity.

        Raises:
            ModelError: The model cannot be loaded, or its `max_cost` is reached.
            StoreError: The file of what was spent is damaged, or cannot be written.
        """
        model = models.load_model(self.with_spent(spec, identity), identity)
        counted = CountedModel(model, self, identity.name)
        try:
            yield counted
        finally:
            counted.note(now=True)

    def with_spent(self, spec: models.ModelSpec, identity: models.Identity) -> models.ModelSpec:
        """Return a model that knows what it has cost.

        Args:
            spec: The model.
            identity: Its identity.

        Raises:
            ModelError: Its `max_cost` is reached.
            StoreError: The file of what was spent is damaged.
        """
        if not isinstance(spec, models.OpenAISpec) or spec.price is None:
            return spec
        spent = self._known().get(identity.name, 0.0)
        if spec.max_cost is not None and spent >= spec.max_cost:
            raise ModelError(
                f"max_cost (${spec.max_cost:g}) is reached: ${spent:.4f} are spent in this "
                "results folder; a higher max_cost goes on",
                value=identity.name,
            )
        return spec.having_spent(spent) if spent else spec

    def pay(
        self, spec: models.ModelSpec, identity: models.Identity, records: Iterable[Record]
    ) -> None:
        """Add the price of records of a model that is loaded elsewhere.

        Args:
            spec: The model.
            identity: Its identity.
            records: The records, whose failed attempts are not known.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        if not isinstance(spec, models.OpenAISpec) or spec.price is None:
            return
        uses = [record.usage for record in records if record.usage is not None]
        paid = sum(spec.price.dollars(u.prompt_tokens, u.completion_tokens) for u in uses)
        self.keep(identity.name, self._known().get(identity.name, 0.0) + paid)

    def keep(self, name: str, dollars: float) -> None:
        """Keep what a model has cost.

        Raises:
            StoreError: The file is damaged, or cannot be written.
        """
        known = self._known()
        if dollars > known.get(name, 0.0):
            entries = (known | {name: dollars}).items()
            write_kept(self._path, [SpentDollars(*entry) for entry in entries])

    def _known(self) -> dict[str, float]:
        return {each.model: each.dollars for each in read_spending(self._path.parent)}
