"""The whole page: conclusion, figures, tables and compressed blocks in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from markupsafe import Markup

from icl_gap.analysis import (
    SCALES,
    Analysis,
    common_table,
    estimator_table,
    evidence_table,
    fit_table,
    gap_table,
    reasoning_table,
)
from icl_gap.analysis.conclusion import QUESTION, conclude
from icl_gap.analysis.strict_scores import STRICT_COLUMNS, both_scores_table, compare_scores
from icl_gap.analysis.unanswered import UNANSWERED_COLUMNS, count_unanswered, unanswered_table
from icl_gap.evaluation.adjudicated import count_adjudicated
from icl_gap.evaluation.precision import read_checks
from icl_gap.evaluation.repeats import read_repeats
from icl_gap.evaluation.spending import count_tokens_used
from icl_gap.evaluation.texts import read_texts
from icl_gap.metrics import METRICS
from icl_gap.progress import Progress
from icl_gap.progress_bars import interactive_progress
from icl_gap.report.compressed import CompressedBlocks
from icl_gap.report.dark_colours import dark_style
from icl_gap.report.figures import draw_overview, draw_report_figures
from icl_gap.report.key_numbers import key_numbers
from icl_gap.report.plain_words import case_texts, plain_rows, verdict_sentence
from icl_gap.report.rendering import render_page, write_page
from icl_gap.report.request_data import RequestData
from icl_gap.report.run_details import RunDetails
from icl_gap.results import Results, open_results


def write_report(
    results: Results | str | Path,
    analysis: Analysis,
    out: str | Path,
    *,
    progress: Progress = interactive_progress,
) -> None:
    """Write results as one HTML file that needs no network.

    Cells are read one at a time. Texts come from the benchmarks that the sweep names. If these are
    missing, or are not those of the run, the page has no texts and says so.

    Args:
        results: A results folder, opened, or its path.
        analysis: The analysis of these cells.
        out: The file to write.
        progress: Shows progress.

    Raises:
        InputError: The file cannot be written.
        StoreError: A cell's file is damaged.
    """
    results = open_results(results)
    write_page(Path(out), lambda blocks: _page(results, analysis, blocks, progress))


def _page(
    results: Results, analysis: Analysis, blocks: CompressedBlocks, progress: Progress
) -> Iterator[str]:
    """Yield the page in parts; all cells are read before the first."""
    texts = read_texts(results.sweep)
    requests, run = RequestData(blocks, texts, analysis.metric), RunDetails()
    for cell in progress(results, "reading requests", len(results)):
        run.add(cell.info, requests.add(cell), texts)
    start = requests.finish()
    figures, not_drawn = draw_report_figures(analysis)
    overview, conclusion = draw_overview(analysis), conclude(analysis)
    drawn = [figure.svg for figure in (overview, *figures) if figure]
    return render_page(
        "report.html",
        blocks,
        name=results.sweep.get("name") or results.folder.name,
        analysis=analysis,
        match=METRICS[analysis.metric].name,
        scale="all parameters"
        if analysis.against == "n_params"
        else SCALES[analysis.against].label,
        question=QUESTION,
        sentence=verdict_sentence(conclusion, analysis.margin),
        numbers=key_numbers(analysis, conclusion),
        cases=case_texts(conclusion),
        support=conclusion.support,
        overview=overview,
        figures=figures,
        dark=Markup(dark_style(drawn)),  # noqa: S704 (colours alone)
        not_drawn=not_drawn,
        tables=_tables(analysis) | _chat_tables(results, analysis),
        unresolved=[point for point in analysis.points if point.gap is None],
        checks=[
            *count_adjudicated(results),
            *read_checks(results.folder),
            *read_repeats(results.folder),
        ],
        uses=[use for use in count_tokens_used(results) if use.completion_tokens is not None],
        unfinished=results.unfinished,
        run=run,
        missing_texts=run.missing_texts,
        sweep=yaml.safe_dump(dict(results.sweep), sort_keys=False, allow_unicode=True),
        n_requests=len(requests),
        start=start,
    )


def _tables(analysis: Analysis) -> dict[str, list[dict[str, str]]]:
    return {
        "gaps": gap_table(analysis),
        "fits": plain_rows(fit_table(analysis)),
        "estimators": estimator_table(analysis),
        "common": plain_rows(common_table(analysis)),
        "reasoning": reasoning_table(analysis),
        "evidence": evidence_table(analysis),
    }


def _chat_tables(results: Results, analysis: Analysis) -> dict[str, list[dict[str, str]]]:
    """Return the tables of chat responses; they are empty where there are none."""
    if not any(info.provenance.get("answer") for info in results.infos):
        return {"both scores": [], "unanswered": []}
    frame = results.frame({*UNANSWERED_COLUMNS, *STRICT_COLUMNS})
    return {
        "both scores": both_scores_table(compare_scores(frame, analysis.metric)),
        "unanswered": unanswered_table(count_unanswered(frame, analysis.metric)),
    }
