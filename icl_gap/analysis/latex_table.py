r"""The gaps of an analysis as LaTeX tables, with the rules of the package `booktabs`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from icl_gap.analysis.analyze import Analysis
from icl_gap.analysis.points import GapPoint
from icl_gap.analysis.table import size_text
from icl_gap.errors import AnalysisError
from icl_gap.metrics import METRICS
from icl_gap.text import escape_latex, shots_text

_SIDES = {"test": "test queries", "train": "train queries", "pooled": "both sides pooled"}
_UNRESOLVED = (
    r"Unresolved: $A_{\mathrm{id}}$, in parentheses, is known too roughly to divide by it."
)


def latex_tables(analysis: Analysis) -> str:
    r"""Return the gaps as LaTeX, a `table` for each benchmark and selection of exemplars.

    Rows are models, in a block for each side of the queries; columns are numbers of shots. A cell
    has the gap and its interval. Footnotes tell of unresolved gaps and of pooled gaps that hide
    their sides. The tables need `\usepackage{booktabs}` alone.

    Args:
        analysis: The analysis.

    Raises:
        AnalysisError: There are no gaps.
    """
    groups: dict[tuple[str, str | None], list[GapPoint]] = {}
    for point in analysis.points:
        groups.setdefault((point.benchmark, point.selection), []).append(point)
    if not groups:
        raise AnalysisError("there is no gap to put into a table: no model has ID and OOD cells")
    several = len({selection for _, selection in groups}) > 1
    tables = [
        "\n".join(_table(analysis, points, selection if several else None))
        for (_, selection), points in groups.items()
    ]
    return "\n\n".join(["% needs \\usepackage{booktabs}", *tables])


def _table(analysis: Analysis, points: Sequence[GapPoint], selection: str | None) -> Iterator[str]:
    shots = sorted({point.shots for point in points})
    notes = _Footnotes()
    blocks = [
        line
        for side in _SIDES
        if (some := [point for point in points if point.query_split == side])
        for line in _block(side, some, shots, notes)
    ]
    yield r"\begin{table}"
    yield r"\centering\small"
    yield rf"\caption{{{_caption(analysis, points[0], selection)}}}"
    yield rf"\label{{tab:gaps-{_slug(points[0].benchmark, selection)}}}"
    yield rf"\begin{{tabular}}{{lr{'l' * len(shots)}}}"
    yield r"\toprule"
    yield " & ".join(["Model", "Parameters", *map(shots_text, shots)]) + r" \\"
    yield from blocks
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield from notes.lines()
    yield r"\end{table}"


def _block(
    side: str, points: Sequence[GapPoint], shots: Sequence[int], notes: _Footnotes
) -> Iterator[str]:
    """Yield the rows of one side of the queries."""
    yield r"\midrule"
    yield rf"\multicolumn{{{len(shots) + 2}}}{{l}}{{\emph{{{_SIDES[side]}}}}} \\"
    models: dict[tuple[str, bool], dict[int, GapPoint]] = {}
    for point in points:
        models.setdefault((point.model, point.trained), {})[point.shots] = point
    for (model, trained), found in models.items():
        name = escape_latex(model) + ("" if trained else " (untrained)")
        size = size_text(next(iter(found.values()))).replace("~", r"$\sim$").replace("-", "--")
        cells = [_cell(found[n], notes) if n in found else "--" for n in shots]
        yield " & ".join([name, size, *cells]) + r" \\"


def _cell(point: GapPoint, notes: _Footnotes) -> str:
    """Return a gap with its interval, or with the reason why there is none."""
    if point.gap is None:
        return f"--- (${point.a_id.value:.2f}$){_raised([notes.mark(_UNRESOLVED)])}"
    gap, marks = point.gap, [notes.mark(_flag_text(flag)) for flag in point.flags]
    interval = rf"{{\scriptsize$[{_number(gap.low)}, {_number(gap.high)}]$}}"
    return f"${_number(gap.value)}$ {interval}{_raised(marks)}"


def _flag_text(flag: str) -> str:
    """Return a footnote on a flag, without its numbers, so that gaps can share it."""
    reason = re.split(r" \(|: ", flag, maxsplit=1)[0]
    return f"The pooled gap hides its sides: {escape_latex(reason)}."


def _raised(marks: Sequence[str]) -> str:
    return rf"\textsuperscript{{{','.join(dict.fromkeys(marks))}}}" if marks else ""


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return text if float(text) else text.removeprefix("-")


def _caption(analysis: Analysis, point: GapPoint, selection: str | None) -> str:
    partial = f" ({escape_latex(point.partial)})" if point.partial else ""
    chosen = "" if selection is None else rf", exemplars chosen by {escape_latex(selection)}"
    resampled = "queries" if analysis.cluster is None else "clusters of queries"
    return (
        r"Relative generalization gap $(A_{\mathrm{id}} - A_{\mathrm{ood}}) / A_{\mathrm{id}}$ on "
        f"{escape_latex(point.benchmark)}{partial}{chosen}, by {METRICS[analysis.metric].name}, "
        rf"with {100 * analysis.confidence:g}\% intervals from {analysis.resamples:,} bootstrap "
        f"resamples of {resampled}."
    )


def _slug(benchmark: str, selection: str | None) -> str:
    """Return the end of a table's label, which may hold no special characters."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{benchmark}-{selection or ''}").strip("-").lower()


class _Footnotes:
    """Footnotes of one table, each with a letter."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """Return the mark of a footnote, which is made the first time."""
        return self._marks.setdefault(text, ascii_lowercase[len(self._marks)])

    def lines(self) -> Iterator[str]:
        """Yield the footnotes, as paragraphs below the table."""
        if self._marks:
            yield r"\par\smallskip\raggedright\footnotesize"
            yield from (
                rf"\textsuperscript{{{mark}}} {text}\par" for text, mark in self._marks.items()
            )
