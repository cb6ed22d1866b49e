"""The page that compares two results: their gaps, and each request whose outcome differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from icl_gap.analysis import Analysis
from icl_gap.errors import InputError
from icl_gap.evaluation.texts import SweepTexts, read_texts
from icl_gap.metrics import METRICS
from icl_gap.progress import Progress, no_progress
from icl_gap.report.cell_pairs import Pairing, pair_cells
from icl_gap.report.compressed import CompressedBlocks
from icl_gap.report.outcome_changes import OutcomeChanges, change_table
from icl_gap.report.rendering import render_page, write_page
from icl_gap.report.request_data import RequestData, Side
from icl_gap.report.settings_table import setting_table
from icl_gap.results import Results


def write_comparison(
    first: tuple[Results, Analysis],
    second: tuple[Results, Analysis],
    out: str | Path,
    *,
    progress: Progress = no_progress,
) -> None:
    """Write a page that compares two results on the queries that both have.

    Args:
        first: Finished cells, and their analysis.
        second: Others, and their analysis by the same metric.
        out: The file to write.
        progress: Shows progress.

    Raises:
        InputError: The two have no cell in common, or the file cannot be written.
        StoreError: A cell's file is damaged.
    """
    pairing = pair_cells(first[0], second[0])
    if not pairing.pairs:
        raise InputError(
            "these results have no cell in common",
            value=f"{first[0].folder} and {second[0].folder}",
            allowed="results with the same models, benchmarks, shots and seeds; a model or "
            "benchmark may differ if there is one of it in each",
        )
    write_page(Path(out), lambda blocks: _page(first, second, pairing, blocks, progress))


def _page(
    first: tuple[Results, Analysis],
    second: tuple[Results, Analysis],
    pairing: Pairing,
    blocks: CompressedBlocks,
    progress: Progress,
) -> Iterator[str]:
    """Yield the page in parts; all cells are read before the first."""
    results = first[0], second[0]
    runs = _names(*results)
    texts = _all_texts(*results)
    requests, changes = RequestData(blocks, texts, first[1].metric), OutcomeChanges(first[1].metric)
    missing: dict[str, None] = {}
    for number, at in enumerate(progress(pairing.pairs, "reading requests", len(pairing.pairs))):
        pair = changes.add(results[0][at[0]], results[1][at[1]])
        for cell, run, other in zip(pair, runs, reversed(runs), strict=True):
            requests.add(cell, Side(json.dumps(number), run, other, run))
            missing |= dict.fromkeys(filter(None, [texts.why_not(cell.info)]))
    start = requests.finish(runs)
    return render_page(
        "comparison.html",
        blocks,
        runs=runs,
        folders=[str(each.folder) for each in results],
        match=METRICS[first[1].metric].name,
        changes=changes,
        pairing=pairing,
        gaps=change_table(changes, first[1], second[1]),
        settings=setting_table(*results),
        missing_texts=missing,
        n_requests=len(requests) // 2,
        start=start,
    )


def _names(first: Results, second: Results) -> tuple[str, str]:
    """Return names for two results: A and B with the names of their folders."""
    return f"A ({first.folder.resolve().name})", f"B ({second.folder.resolve().name})"


def _all_texts(first: Results, second: Results) -> SweepTexts:
    texts = read_texts(first.sweep), read_texts(second.sweep)
    return SweepTexts(
        {**texts[1].benchmarks, **texts[0].benchmarks}, {**texts[1].problems, **texts[0].problems}
    )
