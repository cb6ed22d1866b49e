"""The methods of a study in a paragraph, with the literature that it rests on.

methods.py       the paragraph: benchmarks, models, exemplars, queries, estimator, software
bibliography.py  BibTeX entries, from the sources that cards and the zoo name
titles.py        titles of the papers that these sources mean
"""

from __future__ import annotations

from icl_gap.citation.methods import Citation, cite

__all__ = ["Citation", "cite"]
