"""`icl-gap cite`: the methods of a study for a paper."""

from __future__ import annotations

import textwrap

from icl_gap.cli.console import say, warn
from icl_gap.cli.results import Folder, MetricOption

_WIDTH = 88


def cite(results: Folder, *, metric: MetricOption = "raw") -> None:
    """Describe the methods of a study in LaTeX, with BibTeX entries."""
    from icl_gap.citation import cite as cite_results

    found = cite_results(results, metric=metric)
    for line in textwrap.wrap(
        found.methods, _WIDTH, break_long_words=False, break_on_hyphens=False
    ):
        say(line)
    say(f"\n{found.bibtex}")
    for note in found.notes:
        warn(f"note: {note}")
