"""Which queries are asked, and which exemplars each is shown."""

from icl_gap.sampling.exemplars import (
    Order,
    SamplerSpec,
    arrange,
    crossed,
    pool_split,
    queries,
    sample,
    sample_exemplars,
)
from icl_gap.sampling.pool import Embed, Pool, Tokenize
from icl_gap.sampling.strategies import SHARING, Selection

__all__ = [
    "SHARING",
    "Embed",
    "Order",
    "Pool",
    "SamplerSpec",
    "Selection",
    "Tokenize",
    "arrange",
    "crossed",
    "pool_split",
    "queries",
    "sample",
    "sample_exemplars",
]
