"""A small sweep, for tests of whatever plans and runs sweeps."""

from __future__ import annotations

from icl_gap.config import SweepSpec
from icl_gap.specs import check_spec


def sweep(card: str | dict[str, str], **changes: object) -> SweepSpec:
    """Sixteen cells of four requests on the benchmark of a card, of `nearest` unless changed.

    Args:
        card: A benchmark, as sweeps name it.
        changes: Of the sweep's fields.
    """
    fields = {
        "name": "s",
        "datasets": [card],
        "models": ["nearest"],
        "shots": [0, 2],
        "seeds": [0, 1],
        "limit": 4,
    }
    return check_spec({**fields, **changes}, SweepSpec)
