"""The exemplars of a query.

Everything here is a pure function of (spec, pool, query, shots, seed). The random stream of a query
is keyed by the seed, the pool and the query's id alone. So its exemplars do not depend on the other
queries, on their order or on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from types import MappingProxyType
from typing import ClassVar, Literal, assert_never, get_args

from icl_gap.errors import SamplingError
from icl_gap.sampling.matching import covers, nearest_cover
from icl_gap.sampling.pool import Embed, HoldOut, Pool, Tokenize, is_reserved, word_pairs
from icl_gap.sampling.strategies import SHARING, STRATEGIES, Selection
from icl_gap.sampling.stream import Stream, rank
from icl_gap.schema import Benchmark, Condition, Example, Exemplars, Split
from icl_gap.specs import Spec

Order = Literal["selection", "reversed", "nearest_last", "shuffled"]


class SamplerSpec(Spec):
    """The selection of exemplars and their order in a prompt."""

    renamed: ClassVar[Mapping[str, str]] = {
        "selection: cover_words": "selection: cover_utterance",
        "selection: cover_structures": "selection: cover_ls",
        "order: chosen": "order: selection",
    }

    selection: Selection = "oracle_coverage"
    """`oracle_coverage`: per query, examples that cover its primitives first (Hosseini et al.
    2022); `random`: per query, uniformly; `shared`: one set per seed and pool for all queries;
    the others as in `strategies`. `oracle_coverage` and `cover_ls` are oracles: they read the
    query's gold target."""

    hold_out: HoldOut = "source"
    """The property, besides the id, that no exemplar shares with the query."""

    order: Order = "selection"
    """The order of the exemplars in a prompt: as selected, reversed, shuffled, or with the one
    whose words are most similar last. It does not change the selection."""

    shuffled_targets: bool = False
    """A control: each exemplar shows the target of the one selected after it, so that sources and
    targets stay and no longer belong together."""

    @property
    def shares_exemplars(self) -> bool:
        """True if all queries of a cell see the same exemplars."""
        return self.selection in SHARING


def sample(spec: SamplerSpec, pool: Pool, query: Example, *, shots: int, seed: int) -> Exemplars:
    """Draw the exemplars of one query.

    k shots are the first k of k + 1 shots, as selected; `order_exemplars` gives another order.

    Args:
        spec: The strategy and what is held out.
        pool: The pool to draw from.
        query: The query; oracles read its gold target (see `SamplerSpec`).
        shots: The number of exemplars.
        seed: The cell's seed.

    Returns:
        Exactly `shots` exemplars in the order of selection, and the coverage after each.

    Raises:
        SamplingError: The pool holds too few examples besides those held out.
    """
    taken = pool.held_out(query, spec.hold_out)
    key = () if spec.shares_exemplars else (query.id,)
    positions = STRATEGIES[spec.selection](pool, query, taken, Stream(seed, pool.name, *key))
    return _exemplars(spec, pool, query, positions, shots)


def sample_matched(
    spec: SamplerSpec, pool: Pool, twin: Exemplars, twin_pool: Pool, *, seed: int
) -> Exemplars:
    """Draw the exemplars of one query so that they cover it as those of its ID twin do.

    Args:
        spec: What is held out; the strategy is the twin's alone.
        pool: The pool to draw from.
        twin: The query's exemplars under `id`, in the order of selection.
        twin_pool: The pool that these come from.
        seed: The cell's seed.

    Returns:
        As many exemplars as the twin has, in the order of selection.

    Raises:
        SamplingError: The pool holds too few examples besides those held out.
    """
    query, shots = twin.query, len(twin.examples)
    ids = [example.id for example in twin.examples]
    if shots and (beyond := twin.examples[-1].target_id) is not None:
        ids.append(beyond)  # `shuffled_targets` selects one more than it shows
    goals = covers(twin_pool, query, twin_pool.positions_of(ids))
    stream = Stream("ood_matched", seed, pool.name, query.id)
    taken = pool.held_out(query, spec.hold_out)
    found = list(nearest_cover(pool, query, goals, taken, stream))
    exemplars = _exemplars(spec, pool, query, found, shots)
    pairs = zip(covers(pool, query, found[:shots]), goals[:shots], strict=True)
    return replace(exemplars, matched=(True, *(one.matches(other) for one, other in pairs)))


def _exemplars(
    spec: SamplerSpec, pool: Pool, query: Example, positions: Iterable[int], shots: int
) -> Exemplars:
    """Return the first `shots` examples of a selection."""
    beyond = int(spec.shuffled_targets and shots > 0)
    selected = list(islice(positions, shots + beyond))
    if len(selected) < shots + beyond:
        raise SamplingError(
            f"too few exemplars in {pool.name} for query {query.id} ({spec.selection})",
            value=shots,
            allowed=f"at most {len(selected) - beyond} shots",
        )
    examples = [pool.examples[position] for position in selected]
    if spec.shuffled_targets:
        examples = [crossed(one, next_) for one, next_ in pairwise(examples)]
    return Exemplars(query, tuple(examples), _coverage(pool, query, selected[:shots]))


def crossed(one: Example, other: Example) -> Example:
    """Return the source of one example with the target of another, under the first one's id."""
    return Example(one.id, one.source, other.target, target_id=other.id)


def order_exemplars(order: Order, exemplars: Exemplars, seed: int) -> Exemplars:
    """Return the exemplars of a prompt in the order in which they stand.

    Args:
        order: The order.
        exemplars: The exemplars of the prompt in the order of selection. Their coverage stays.
        seed: The seed of the cell, for `shuffled`.
    """
    query, shown = exemplars.query, list(exemplars.examples)
    match order:
        case "selection":
            return exemplars
        case "reversed":
            shown.reverse()
        case "nearest_last":
            words = set(query.source.split())
            shown.sort(key=lambda example: _jaccard(words, set(example.source.split())))
        case "shuffled":
            stream = Stream("order", seed, query.id)
            for last in range(len(shown) - 1, 0, -1):
                other = stream.below(last + 1)
                shown[last], shown[other] = shown[other], shown[last]
        case unknown:
            assert_never(unknown)
    return replace(exemplars, examples=tuple(shown))


def _jaccard(one: set[str], other: set[str]) -> float:
    """Return Jaccard's index of two sets."""
    return len(one & other) / max(1, len(one | other))


def queries(
    benchmark: Benchmark, split: Split, spec: SamplerSpec, limit: int | None = None
) -> list[Example]:
    """Return the queries of a split: the first `limit` by a hash of their ids.

    The order depends on nothing else. So a lower limit takes the first of the same queries, and all
    conditions and seeds take the same ones. `shared` leaves out the examples reserved for its
    exemplar sets (`is_reserved`).
    """
    candidates = [
        example
        for example in benchmark.examples(split)
        if not (spec.shares_exemplars and is_reserved(example))
    ]
    return sorted(candidates, key=lambda example: rank("query", example.id))[:limit]


_OTHER: Mapping[Split, Split] = MappingProxyType({"train": "test", "test": "train"})
_POOLS: Mapping[Condition, Mapping[Split, Split]] = MappingProxyType(
    {
        "id": MappingProxyType({"train": "train", "test": "test"}),
        "ood": _OTHER,
        "ood_matched": _OTHER,
    }
)
"""By condition: the side that the exemplars of each side's queries come from."""


def pool_split(query_split: Split, condition: Condition) -> Split:
    """Return the side that exemplars come from: the query's own (ID) or the other (OOD)."""
    return _POOLS[condition][query_split]


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
    pairs: Tokenize = word_pairs,
    limit: int | None = None,
) -> list[Exemplars]:
    """Draw the exemplars of all queries of a split.

    Args:
        benchmark: The benchmark.
        query_split: The side that queries come from.
        condition: `id` to draw exemplars from the same side, `ood` from the other, `ood_matched`
            from the other with the coverage of those from the same side.
        shots: Exemplars per query, ≥ 0.
        seed: Any integer.
        selection: See `SamplerSpec`.
        tokenize: A function from a target to its tokens; a model's tokenizer to follow Hosseini et
            al. 2022.
        structures: A function from a target to its local structures, for `cover_ls`.
        embed: A function from texts to their embeddings, for `embedding`.
        pairs: A function from a target to its local structures of two nodes, for `ood_matched`.
        limit: The largest number of queries; None for all.

    Returns:
        For each query, in the order of `queries`, its exemplars and the coverage at 0, 1, … `shots`
        shots.

    Raises:
        SamplingError: A value is out of range, or the pool holds too few examples.
    """
    _check("query_split", query_split, ("train", "test"))
    _check("condition", condition, get_args(Condition))
    _check("selection", selection, tuple(STRATEGIES))
    for name, number in (("shots", shots), ("limit", limit)):
        if number is not None and number < 0:
            raise SamplingError(f"{name} is negative", value=number, allowed="0 or more")
    spec = SamplerSpec(selection=selection)
    asked = queries(benchmark, query_split, spec, limit)

    def pool_of(condition: Condition) -> Pool:
        side = pool_split(query_split, condition)
        return Pool(benchmark, side, tokenize, structures, embed, pairs=pairs)

    pool = pool_of(condition)
    if condition != "ood_matched":
        return [sample(spec, pool, query, shots=shots, seed=seed) for query in asked]
    _check_matchable(spec)
    own = pool_of("id")
    twins = (sample(spec, own, query, shots=shots, seed=seed) for query in asked)
    return [sample_matched(spec, pool, twin, own, seed=seed) for twin in twins]


def _check_matchable(spec: SamplerSpec) -> None:
    if spec.shares_exemplars:
        raise SamplingError(
            "`ood_matched` follows each query's coverage, but this selection shows all one set",
            value=spec.selection,
            allowed=tuple(name for name in STRATEGIES if name not in SHARING),
        )


def _coverage(pool: Pool, query: Example, selected: Sequence[int]) -> tuple[float, ...]:
    """Return the coverage of the query's primitives by the first 0, 1, … exemplars.

    It is 1 for a query without primitives.
    """
    total, held = pool.query_primitives(query)
    missing, nowhere = set(held), total - len(held)
    shares = [0.0 if total else 1.0]
    for position in selected:
        missing.difference_update(pool.primitive_index.items[position])
        shares.append(1 - (len(missing) + nowhere) / total if total else 1.0)
    return tuple(shares)


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if (new := SamplerSpec.renamed.get(f"{name}: {value}")) is not None:
        raise SamplingError(f"`{name}: {value}` is now `{new}`")
    if value not in allowed:
        raise SamplingError(
            f"{name} is not one of the possible values", value=value, allowed=allowed
        )
