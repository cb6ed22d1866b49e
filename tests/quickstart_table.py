"""The table and the answer of README.md, made from the results of the quickstart.

`PYTHONPATH=.:tests python tests/quickstart_table.py results/quickstart` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from readme_tables import ROOT, marked

from icl_gap.analysis import Analysis, GapPoint, analyze
from icl_gap.analysis.conclusion import QUESTION, conclude
from icl_gap.results import open_results

PAGE = ROOT / "README.md"
NAME = "quickstart"
SPLIT = "mcd1"
HEAD = """\
| size, seed | test, ID / OOD | gap | train, ID / OOD | gap |
| --- | --- | --- | --- | --- |
"""


def quickstart_block(analysis: Analysis) -> str:
    """Return the table, and the answer by the rules for claims."""
    found = conclude(analysis)
    told = "".join(f"  {each.sentence}\n" for each in found.answers)
    return f"{_table(analysis.points)}\n```text\n{QUESTION}\n{found.lead}\n{told}```\n"


def _table(points: Sequence[GapPoint]) -> str:
    """Return a row for each training that has a gap on a side of MCD1."""
    shots = max(point.shots for point in points)
    sides: dict[str, dict[str, GapPoint]] = {}
    for point in points:
        if (point.split, point.shots) == (SPLIT, shots):
            sides.setdefault(point.model, {})[point.query_split] = point
    rows = []
    for of in sides.values():
        if any(point.gap for point in of.values()):
            size = of["test"].model.split("-")[2]
            cells = [_cells(of[side]) for side in ("test", "train")]
            rows.append(f"| {size}, {of['test'].training_seed} | {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def _cells(point: GapPoint) -> str:
    accuracies = f"{point.a_id.value:.2f} / {point.a_ood.value:.2f}"
    gap = point.gap
    if gap is None:
        return f"{accuracies} | unresolved"
    return f"{accuracies} | {gap.value:.2f} [{gap.low:.2f}, {gap.high:.2f}]".replace(
        "-0.00", "0.00"
    )


def main(folder: str) -> None:
    block = quickstart_block(analyze(open_results(Path(folder)).frame()))
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(marked(NAME).sub(lambda _: block, text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
