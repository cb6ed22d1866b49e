"""The two sides of a benchmark, and what a gap pooled over them hides."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.analysis.bootstrap import Draws
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.resolution import why_unresolved
from icl_gap.analysis.small_counts import count_pairs


def at_floor(part: PairedOutcomes) -> bool:
    """Return whether no request of a side is right under one of the conditions."""
    return not (part.hits_id.any() and part.hits_ood.any())


def flags_of(
    parts: Sequence[PairedOutcomes], drawn: Sequence[Draws], *, confidence: float
) -> tuple[str, ...]:
    """Return the reasons why a pooled gap hides its sides, with the numbers.

    Args:
        parts: Both sides; a single side has no flags.
        drawn: The draws of each.
        confidence: Confidence of the analysis.
    """
    if len(parts) < 2:
        return ()
    found: list[str] = []
    gaps: dict[str, float] = {}
    for part, draws in zip(parts, drawn, strict=True):
        answered, side = int(part.answered.sum()), part.query_split
        hits = {"ID": int(part.hits_id.sum()), "OOD": int(part.hits_ood.sum())}
        a_id = hits["ID"] / answered
        n = count_pairs([part]).n
        if why := why_unresolved([part], a_id, draws, n, confidence=confidence):
            found.append(f"the {side} side is unresolved ({why})")
        else:
            gaps[side] = 1 - hits["OOD"] / hits["ID"]
        if hits["ID"] == 0:
            continue  # Said already.
        found += [
            f"the {side} side is at its {end}: {right} of {answered} {condition} requests right"
            for condition, right in hits.items()
            for end, limit in (("floor", 0), ("ceiling", answered))
            if right == limit
        ]
    if min(gaps.values(), default=0) < 0 < max(gaps.values(), default=0):
        values = ", ".join(f"{side} {gap:+.3f}" for side, gap in gaps.items())
        found.append(f"the sides' gaps have different signs ({values})")
    return tuple(found)
