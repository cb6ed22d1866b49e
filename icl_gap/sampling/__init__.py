"""Which queries are asked, and which exemplars each is shown."""

from icl_gap.sampling.exemplars import (
    SamplerSpec,
    Selection,
    pool_split,
    queries,
    sample,
    sample_exemplars,
)
from icl_gap.sampling.pool import Pool, Tokenize

__all__ = [
    "Pool",
    "SamplerSpec",
    "Selection",
    "Tokenize",
    "pool_split",
    "queries",
    "sample",
    "sample_exemplars",
]
