"""The whole page: conclusion, figures, tables and compressed blocks in one file."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
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
from icl_gap.errors import InputError
from icl_gap.evaluation.precision import read_checks
from icl_gap.evaluation.repeats import read_repeats
from icl_gap.evaluation.spending import count_tokens_used
from icl_gap.evaluation.texts import read_texts
from icl_gap.files import make_folder, write_atomically
from icl_gap.metrics import METRICS
from icl_gap.progress import Progress
from icl_gap.progress_bars import interactive_progress
from icl_gap.report.compressed import CompressedBlocks
from icl_gap.report.figures import draw_report_figures
from icl_gap.report.request_data import RequestData
from icl_gap.report.run_details import RunDetails
from icl_gap.results import Results, open_results
from icl_gap.text import printable

PARTS = Path(__file__).parent
TEXT_COLUMNS = frozenset({
    "benchmark", "model", "queries", "family", "families", "best form", "status", "where",
    "exemplars", "identity", "part used", "fingerprint (sha256)", "texts in this page",
    "verdict", "at the largest", "condition",
})  # fmt: skip
"""Columns of text; all others hold numbers and are aligned to the right."""


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
    results, out = open_results(results), Path(out)
    try:
        make_folder(out.parent, follow=True)
        with tempfile.TemporaryFile() as blocks:
            parts = _page(results, analysis, CompressedBlocks(blocks), progress)
            write_atomically(out, (part.encode() for part in parts))
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror}", value=str(out)) from error


def _printable(value: object) -> object:
    """Return text in its printable form; markup and other values as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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
    environment = Environment(
        loader=FileSystemLoader(PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (PARTS / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html").generate(
        name=results.sweep.get("name") or results.folder.name,
        analysis=analysis,
        match=METRICS[analysis.metric].name,
        scale="all parameters"
        if analysis.against == "n_params"
        else SCALES[analysis.against].label,
        question=QUESTION,
        conclusion=conclude(analysis),
        figures=figures,
        not_drawn=not_drawn,
        tables=_tables(analysis) | _chat_tables(results, analysis),
        unresolved=[point for point in analysis.points if point.gap is None],
        checks=[*read_checks(results.folder), *read_repeats(results.folder)],
        uses=[use for use in count_tokens_used(results) if use.completion_tokens is not None],
        unfinished=results.unfinished,
        run=run,
        sweep=yaml.safe_dump(dict(results.sweep), sort_keys=False, allow_unicode=True),
        n_requests=len(requests),
        text_columns=TEXT_COLUMNS,
        style=_own(PARTS / "report.css"),
        script=Markup(script),  # noqa: S704 (our own)
        script_hash=_hash(script),
        blocks=(Markup(block) for block in blocks),  # noqa: S704 (base64)
        start=start,
    )


def _tables(analysis: Analysis) -> dict[str, list[dict[str, str]]]:
    return {
        "gaps": gap_table(analysis),
        "fits": fit_table(analysis),
        "estimators": estimator_table(analysis),
        "common": common_table(analysis),
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


def _own(path: Path) -> Markup:
    return Markup(re.sub(r"\n\s*", "\n", path.read_text(encoding="utf-8")))  # noqa: S704 (our own)


def _hash(script: str) -> str:
    """Return the hash of the script, the only one that the policy of the page allows."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
