"""The answer of an analysis in the terminal: one table, then at most twelve lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_gap.cli.console import say, say_note, show_table
from icl_gap.errors import InputError
from icl_gap.text import shots_text

if TYPE_CHECKING:
    from icl_gap.analysis import Analysis, GapPoint
    from icl_gap.results import Results

WIDTH = 80
MOST_LINES = 12
"""Most lines of the answer."""
_TEXT_COLUMNS = (
    "benchmark", "model", "selection", "queries", "family", "families", "exemplars", "verdict",
    "at the largest", "best form",
)  # fmt: skip


def show_answer(
    results: Results, analysis: Analysis, *, verbose: bool = False, files: Sequence[str] = ()
) -> None:
    """Print the gaps that tell most, or all tables, and the answer below them.

    Args:
        results: The finished cells.
        analysis: Analysis of these cells.
        verbose: Print all tables and notes.
        files: Lines that say where files are.
    """
    from icl_gap.analysis import comparison_table
    from icl_gap.analysis.conclusion import telling_points
    from icl_gap.evaluation.spending import count_tokens_used

    if verbose:
        _show_tables(analysis)
        _show_both_scores(results, analysis)
        for remark in _remarks(results, analysis):
            say_note(str(remark))
        for use in count_tokens_used(results):
            if use.prompt_tokens is not None:
                say(f"tokens of {use}")
        _show_details(analysis)
    else:
        if rows := comparison_table(analysis):
            show_table(rows, title="difference of gaps", left=_TEXT_COLUMNS)
        for benchmark, points in telling_points(analysis).items():
            first = points[0]
            title = f"{benchmark}, {shots_text(first.shots)}, {first.query_split} queries"
            show_table([_row(point) for point in points], title=title, left=("model",))
    for line in answer_lines(results, analysis, files=files, verbose=verbose):
        say(line)


def _show_details(analysis: Analysis) -> None:
    """Print the reason, the sides and the remedy of each case."""
    from icl_gap.analysis.conclusion import conclude

    for each in conclude(analysis).answers:
        for text in (each.sentence, each.sides, f"Reason: {each.because}.", each.remedy):
            for line in _wrapped(text):
                say(line)


def answer_lines(
    results: Results, analysis: Analysis, *, files: Sequence[str], verbose: bool
) -> list[str]:
    """Return the answer in at most `MOST_LINES` lines of at most `WIDTH` characters.

    A file's path is not broken, and may be longer. Where lines are too many, the remedy is left
    out, then the gaps at the largest size, then whole cases.
    """
    from icl_gap.analysis.conclusion import QUESTION, conclude

    conclusion = conclude(analysis)
    more = [*_warnings(results), *([] if verbose else _unshown(results, analysis)), *files]
    opening = _wrapped(QUESTION) + _wrapped(conclusion.lead)
    told = [] if len(conclusion.answers) == 1 else [each.sentence for each in conclusion.answers]
    remedies = [_wrapped(each.remedy) for each in conclusion.answers if each.remedy][:1]
    for with_largest, with_remedy in ((True, True), (True, False), (False, True), (False, False)):
        lines = list(opening)
        for number, each in enumerate(conclusion.answers):
            lines += _wrapped(told[number], "  ") if told else []
            lines += _wrapped(each.largest, "  ") if with_largest else []
        lines += [line for remedy in remedies if with_remedy for line in remedy]
        if len(lines) + len(more) <= MOST_LINES:
            return [*lines, *more]
    room = max(0, MOST_LINES - len(opening) - len(more) - 1)
    cases = [_wrapped(sentence, "  ")[0] for sentence in told[:room]]
    return [*opening, *cases, f"  and {len(told) - len(cases)} more, with -v", *more]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(point: GapPoint) -> dict[str, str]:
    from icl_gap.analysis import size_text

    gap = point.gap
    return {
        "model": point.model + ("" if point.trained else " (untrained)"),
        "params": size_text(point),
        "A_id": f"{point.a_id.value:.3f}",
        "A_ood": f"{point.a_ood.value:.3f}",
        "gap": f"{gap.value:.3f}" if gap else "unresolved",
        "interval": f"[{gap.low:.3f}, {gap.high:.3f}]" if gap else "",
    }


def _show_tables(analysis: Analysis) -> None:
    from icl_gap import analysis as tables
    from icl_gap.metrics import METRICS

    match = METRICS[analysis.metric].name
    scale = tables.SCALES[analysis.against].label
    rows_of = {
        f"{match}, {analysis.confidence:.0%} intervals": tables.gap_table(analysis),
        "difference between the gaps of the two sides": tables.side_table(analysis),
        "difference of gaps": tables.comparison_table(analysis),
        "further intervals and tests": tables.evidence_table(analysis),
        f"fit of the gap against scale: {scale}": tables.fit_table(analysis),
        "the slope by other estimators": tables.estimator_table(analysis),
        "one slope for several curves": tables.common_table(analysis),
        "reasoning gap of composed questions": tables.reasoning_table(analysis),
    }
    for title, rows in rows_of.items():
        if rows:
            show_table(rows, title=title, left=_TEXT_COLUMNS)


def _unshown(results: Results, analysis: Analysis) -> list[str]:
    """Return a line on the remarks and tables that only `-v` shows."""
    n = len(list(_remarks(results, analysis)))
    remarks = "" if not n else f"{n} remark{'s' if n > 1 else ''} and "
    return [f"{remarks}all tables: icl-gap analyze {results.folder} -v"]


def _warnings(results: Results) -> Iterator[str]:
    """Yield what is missing from the results."""
    if results.unfinished:
        yield f"note: {len(results.unfinished)} cells of the sweep are not finished"
    if results.failed:
        failed = len(results.failed)
        yield f"note: requests failed in {failed} cells; run the sweep again to retry them"


def _remarks(results: Results, analysis: Analysis) -> Iterator[str]:
    """Yield remarks on gaps and models: unresolved gaps, notes, precision checks."""
    from icl_gap.evaluation.adjudicated import count_adjudicated
    from icl_gap.evaluation.precision import read_checks
    from icl_gap.evaluation.repeats import read_repeats

    if unresolved := [point for point in analysis.points if point.gap is None]:
        first = unresolved[0]
        yield (
            f"{len(unresolved)} gaps are unresolved; {first.label}, {first.query_split} "
            f"queries: {first.unresolved_because}"
        )
    yield from map(str, analysis.notes)
    yield from _unanswered(results, analysis)
    yield from map(str, count_adjudicated(results))
    yield from map(str, read_checks(results.folder))
    yield from map(str, read_repeats(results.folder))


def checks_json(results: Results) -> dict[str, Any]:
    """Return what is kept beside results and what servers counted, for JSON; no empty lists."""
    from icl_gap.evaluation.adjudicated import count_adjudicated
    from icl_gap.evaluation.precision import read_checks
    from icl_gap.evaluation.repeats import read_repeats
    from icl_gap.evaluation.spending import count_tokens_used

    uses = [use for use in count_tokens_used(results) if use.completion_tokens is not None]
    found = {
        "adjudicated": [asdict(each) for each in count_adjudicated(results)],
        "precision": [
            asdict(check)
            | {"gaps": check.gaps(), "flips": sum(check.flips()), "at_most": check.at_most()}
            for check in read_checks(results.folder)
        ],
        "repeats": [
            asdict(check) | {"gaps": check.gaps(), "flips": check.flips()}
            for check in read_repeats(results.folder)
        ],
        "tokens": [asdict(use) for use in uses],
    }
    return {name: rows for name, rows in found.items() if rows}


def spent_line(folder: Path) -> str | None:
    """Return a line on what the priced models of some results have cost; None without any."""
    from icl_gap.evaluation.spending import read_spending

    spent = sorted(read_spending(folder), key=lambda each: -each.dollars)
    if not spent:
        return None
    total = f"spent, all runs into this folder: ${sum(each.dollars for each in spent):,.4f}"
    models = [f"{each.model} ${each.dollars:,.4f}" for each in spent[:3]]
    more = f", and {len(spent) - 3} more" if len(spent) > 3 else ""
    return f"{total} ({', '.join(models)}{more})"


def _unanswered(results: Results, analysis: Analysis) -> Iterator[str]:
    """Yield a remark on the responses of each chat model that hold no answer."""
    from icl_gap.analysis.unanswered import UNANSWERED_COLUMNS, count_unanswered

    if _has_chats(results):
        frame = results.frame(UNANSWERED_COLUMNS)
        yield from map(str, count_unanswered(frame, analysis.metric))


def _has_chats(results: Results) -> bool:
    """Return whether answers are extracted from some of the responses."""
    return any(info.provenance.get("answer") for info in results.infos)


def _show_both_scores(results: Results, analysis: Analysis) -> None:
    """Print the scores of extracted answers beside those of whole responses."""
    from icl_gap.analysis.strict_scores import STRICT_COLUMNS, both_scores_table, compare_scores

    if _has_chats(results):
        found = compare_scores(results.frame(STRICT_COLUMNS), analysis.metric)
        if rows := both_scores_table(found):
            title = "extracted answers, of which gaps are made, and whole responses"
            show_table(rows, title=title, left=(*_TEXT_COLUMNS, "condition"))


def write_csv(
    analysis: Analysis, folder: Path, *, tokens: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write each list of an analysis to a CSV file of its name, one column a field.

    Args:
        analysis: The analysis.
        folder: The folder for the files.
        tokens: Another such list: the tokens of models that servers run.

    Raises:
        InputError: The folder cannot be written.
    """
    import pandas as pd

    from icl_gap.files import make_folder

    try:
        make_folder(folder)
        for name, rows in (analysis.to_json() | {"tokens": tokens}).items():
            if isinstance(rows, tuple | list) and rows and isinstance(rows[0], dict):
                pd.json_normalize(list(rows)).to_csv(folder / f"{name}.csv", index=False)
    except OSError as error:
        problem = f"cannot write the tables: {error.strerror}"
        raise InputError(problem, value=str(folder)) from error
