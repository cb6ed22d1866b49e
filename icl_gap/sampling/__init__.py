"""The choice of queries and of the exemplars of each query."""

from icl_gap.sampling.exemplars import (
    Order,
    SamplerSpec,
    crossed,
    order_exemplars,
    pool_split,
    queries,
    sample,
    sample_exemplars,
    sample_matched,
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
    "crossed",
    "order_exemplars",
    "pool_split",
    "queries",
    "sample",
    "sample_exemplars",
    "sample_matched",
]
