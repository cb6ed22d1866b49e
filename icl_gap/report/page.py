"""The whole page: words, figures, tables and blocks in one file."""

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
    evidence_table,
    fit_table,
    gap_table,
    reasoning_table,
)
from icl_gap.errors import InputError
from icl_gap.evaluation.precision import read_checks
from icl_gap.evaluation.texts import read_texts
from icl_gap.files import make_folder, write_atomically
from icl_gap.metrics import METRICS
from icl_gap.progress import Progress, no_progress
from icl_gap.report.blocks import Blocks
from icl_gap.report.figures import draw_all
from icl_gap.report.request_data import Requests
from icl_gap.report.sentences import answer
from icl_gap.report.traces import Traces
from icl_gap.results import Results

PARTS = Path(__file__).parent
WORDS = frozenset({
    "benchmark", "model", "queries", "family", "families", "best form", "status", "where",
    "exemplars", "identity", "part used", "fingerprint (sha256)", "texts in this page",
    "to resolve it",
})  # fmt: skip
"""Columns of text; the others hold numbers, which stand to the right."""


def write_report(
    results: Results, analysis: Analysis, out: str | Path, *, progress: Progress = no_progress
) -> None:
    """Write a study as one HTML file that needs no network.

    The cells are read one at a time. Texts come from the benchmarks that the sweep names; where
    these are not at hand, or are not those of the run, the page is made without them and says so.

    Args:
        results: Finished cells.
        analysis: Of these cells.
        out: The file.
        progress: Shows progress.

    Raises:
        InputError: The file cannot be written.
        StoreError: A cell's file is damaged.
    """
    out = Path(out)
    try:
        make_folder(out.parent, follow=True)
        with tempfile.TemporaryFile() as waiting:
            pieces = _page(results, analysis, Blocks(waiting), progress)
            write_atomically(out, (piece.encode() for piece in pieces))
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror}", value=str(out)) from error


def shown(value: object) -> object:
    """Text with control characters and lone surrogates written out; anything else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return "".join(
            c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
            for c in value
        )
    return value


def _page(
    results: Results, analysis: Analysis, blocks: Blocks, progress: Progress
) -> Iterator[str]:
    """The page in pieces; all cells are read before the first."""
    texts = read_texts(results.sweep)
    requests, traces = Requests(blocks, texts, analysis.metric), Traces()
    for cell in progress(results, "reading requests", len(results)):
        traces.add(cell.info, requests.add(cell), texts)
    start = requests.finish()
    drawings, not_drawn = draw_all(analysis)
    environment = Environment(
        loader=FileSystemLoader(PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
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
        answer=answer(analysis),
        drawings=drawings,
        not_drawn=not_drawn,
        tables=_tables(analysis),
        unresolved=[point for point in analysis.points if point.gap is None],
        checks=read_checks(results.folder),
        unfinished=results.unfinished,
        traces=traces,
        sweep=yaml.safe_dump(dict(results.sweep), sort_keys=False, allow_unicode=True),
        n_requests=len(requests),
        words=WORDS,
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
        "common": common_table(analysis),
        "reasoning": reasoning_table(analysis),
        "evidence": evidence_table(analysis),
    }


def _own(path: Path) -> Markup:
    return Markup(re.sub(r"\n\s*", "\n", path.read_text(encoding="utf-8")))  # noqa: S704 (our own)


def _hash(script: str) -> str:
    """What the page's policy allows to run: this script, to the letter."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
