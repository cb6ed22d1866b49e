"""Which exemplars a query is shown.

Everything here is a pure function of (spec, pool, query, shots, seed). The random stream of a query
is keyed by the seed, the pool and the query's id alone, so its exemplars are the same whatever
other queries are asked, in whatever order, by however many workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import ClassVar, Literal, assert_never

from icl_gap.errors import SamplingError
from icl_gap.sampling.pool import Embed, HoldOut, Pool, Tokenize, is_reserved
from icl_gap.sampling.strategies import SHARING, STRATEGIES, Selection
from icl_gap.sampling.stream import Stream, rank
from icl_gap.schema import Benchmark, Condition, Example, Exemplars, Split
from icl_gap.specs import Spec

Order = Literal["selection", "reversed", "nearest_last", "shuffled"]


class SamplerSpec(Spec):
    """How exemplars are selected, and in which order they stand."""

    renamed: ClassVar[Mapping[str, str]] = {
        "selection: cover_words": "selection: cover_utterance",
        "selection: cover_structures": "selection: cover_ls",
        "order: chosen": "order: selection",
    }

    selection: Selection = "oracle_coverage"
    """`oracle_coverage`: per query, examples that cover its primitives first (Hosseini et al.
    2022); `random`: per query, uniformly; `shared`: one set per seed and pool for all queries;
    others as `strategies` tells. Those that read the query's gold target are oracles:
    `oracle_coverage` and `cover_ls`."""

    hold_out: HoldOut = "source"
    """What an exemplar may not share with the query, besides its id."""

    order: Order = "selection"
    """In which order those that are shown stand: as chosen, the last one first, the one whose words
    are most like the query's last, or at random. It changes no choice."""

    shuffled_targets: bool = False
    """A control: each exemplar shows the target of the one chosen after it in place of its own, so
    that sources and targets are what they were and no longer belong together."""

    @property
    def shares_exemplars(self) -> bool:
        """True if all queries of a cell see the same exemplars."""
        return self.selection in SHARING


def sample(spec: SamplerSpec, pool: Pool, query: Example, *, shots: int, seed: int) -> Exemplars:
    """Draw the exemplars of one query.

    k shots are the first k of k + 1 shots, in the order chosen; `arrange` puts them in another.

    Args:
        spec: How to choose.
        pool: Where to choose from.
        query: The query; oracles read its gold target (see `SamplerSpec`).
        shots: How many.
        seed: The cell's seed.

    Returns:
        Exactly `shots` exemplars, and the coverage after each, as they were chosen.

    Raises:
        SamplingError: The pool holds too few examples besides those held out.
    """
    taken = pool.held_out(query, spec.hold_out)
    key = () if spec.shares_exemplars else (query.id,)
    positions = STRATEGIES[spec.selection](pool, query, taken, Stream(seed, pool.name, *key))
    beyond = int(spec.shuffled_targets and shots > 0)
    chosen = list(islice(positions, shots + beyond))
    if len(chosen) < shots + beyond:
        raise SamplingError(
            f"too few exemplars in {pool.name} for query {query.id} ({spec.selection})",
            value=shots,
            allowed=f"at most {len(chosen) - beyond} shots",
        )
    examples = [pool.examples[position] for position in chosen]
    if spec.shuffled_targets:
        examples = [crossed(one, next_) for one, next_ in pairwise(examples)]
    return Exemplars(query, tuple(examples), _coverage(pool, query, chosen[:shots]))


def crossed(one: Example, other: Example) -> Example:
    """Return the source of one example with the target of another, under the first one's id."""
    return Example(one.id, one.source, other.target, target_id=other.id)


def arrange(order: Order, exemplars: Exemplars, seed: int) -> Exemplars:
    """Put the exemplars that a query is shown in the order that they stand in.

    Args:
        order: Which.
        exemplars: As chosen, no more than are shown. Their coverage is left as it was found.
        seed: The cell's, for `shuffled`.
    """
    query, shown = exemplars.query, list(exemplars.examples)
    match order:
        case "selection":
            return exemplars
        case "reversed":
            shown.reverse()
        case "nearest_last":
            words = set(query.source.split())
            shown.sort(key=lambda example: _likeness(words, set(example.source.split())))
        case "shuffled":
            stream = Stream("order", seed, query.id)
            for last in range(len(shown) - 1, 0, -1):
                other = stream.below(last + 1)
                shown[last], shown[other] = shown[other], shown[last]
        case unknown:
            assert_never(unknown)
    return replace(exemplars, examples=tuple(shown))


def _likeness(one: set[str], other: set[str]) -> float:
    """Jaccard's index."""
    return len(one & other) / max(1, len(one | other))


def queries(
    benchmark: Benchmark, split: Split, spec: SamplerSpec, limit: int | None = None
) -> list[Example]:
    """The queries of a split: the first `limit` in an order fixed by a hash of their ids.

    The order depends on nothing else, so a lower limit asks the first of the same queries, and both
    conditions and all seeds ask the same ones. `shared` leaves out the examples that are kept for
    its exemplar sets (`is_reserved`).
    """
    asked = [
        example
        for example in benchmark.examples(split)
        if not (spec.shares_exemplars and is_reserved(example))
    ]
    return sorted(asked, key=lambda example: rank("query", example.id))[:limit]


def pool_split(query_split: Split, condition: Condition) -> Split:
    """The side that exemplars come from: the query's own (ID) or the other (OOD)."""
    other: dict[Split, Split] = {"train": "test", "test": "train"}
    return query_split if condition == "id" else other[query_split]


def sample_exemplars(
    benchmark: Benchmark,
    *,
    query_split: Split,
    condition: Condition,
    shots: int,
    seed: int,
    selection: Selection = "oracle_coverage",
    tokenize: Tokenize = str.split,
    structures: Tokenize = str.split,
    embed: Embed | None = None,
    limit: int | None = None,
) -> list[Exemplars]:
    """Draw the exemplars of all queries of a split.

    Args:
        benchmark: The benchmark.
        query_split: The side that queries come from.
        condition: `id` to draw exemplars from the same side, `ood` from the other.
        shots: Exemplars per query, ≥ 0.
        seed: Any integer.
        selection: See `SamplerSpec`.
        tokenize: Target text to tokens; a model's tokenizer, to follow Hosseini et al. 2022.
        structures: Target text to its local structures, for `cover_ls`.
        embed: Texts to their embeddings, for `embedding`.
        limit: At most so many queries; None for all.

    Returns:
        For each query its exemplars and the coverage reached at 0, 1, … `shots` shots, in the order
        of `queries`.

    Raises:
        SamplingError: A value is out of range, or the pool holds too few examples.
    """
    _check("query_split", query_split, ("train", "test"))
    _check("condition", condition, ("id", "ood"))
    _check("selection", selection, tuple(STRATEGIES))
    for name, number in (("shots", shots), ("limit", limit)):
        if number is not None and number < 0:
            raise SamplingError(f"{name} is negative", value=number, allowed="0 or more")
    spec = SamplerSpec(selection=selection)
    pool = Pool(benchmark, pool_split(query_split, condition), tokenize, structures, embed)
    asked = queries(benchmark, query_split, spec, limit)
    return [sample(spec, pool, query, shots=shots, seed=seed) for query in asked]


def _coverage(pool: Pool, query: Example, chosen: Sequence[int]) -> tuple[float, ...]:
    """The share of the query's primitives in the first 0, 1, … exemplars; 1 if it has none."""
    total, held = pool.wants(query)
    missing, nowhere = set(held), total - len(held)
    shares = [0.0 if total else 1.0]
    for position in chosen:
        missing.difference_update(pool.primitives.items[position])
        shares.append(1 - (len(missing) + nowhere) / total if total else 1.0)
    return tuple(shares)


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if (new := SamplerSpec.renamed.get(f"{name}: {value}")) is not None:
        raise SamplingError(f"`{name}: {value}` is now `{new}`")
    if value not in allowed:
        raise SamplingError(
            f"{name} is not one of the possible values", value=value, allowed=allowed
        )
