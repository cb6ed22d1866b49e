"""Results on disk: one JSONL file per cell, and a manifest that says which cells belong together.

    results/NAME/
        sweep.json               the sweep as run, and its cells with their labels
        cells/CELL.jsonl         line 1: the cell (`CellInfo`); then one line per query (`Record`)
        cells/CELL.jsonl.failed  a cell whose every request is settled, some by a failure
        cells/CELL.jsonl.part    a cell that is not settled
        damaged/                 files that were found damaged, as they were

A cell is found by its key, which ends its name; labels that no result depends on (a model's name,
its family) may change and are those of the manifest. Records come in any order: a begun file is
only ever appended to, and once it is whole, its lines are written in query order under the final
name. Each line ends with a checksum of itself and the cell's key. A run takes good lines over, cuts
a torn last one off, sets aside a file with any other damage, and asks failed requests anew; so a
sweep stopped at any moment goes on where it was. No other state is kept.
"""

from __future__ import annotations

from icl_gap.store.checking import Fault, repair_store, verify_store
from icl_gap.store.files import cell_name
from icl_gap.store.frame import OUTCOMES, frame_of
from icl_gap.store.merging import merge_stores
from icl_gap.store.reading import Results, load_results, open_results
from icl_gap.store.writing import Sheet, StoreWriter, open_store, whole_cells

__all__ = [
    "OUTCOMES",
    "Fault",
    "Results",
    "Sheet",
    "StoreWriter",
    "cell_name",
    "frame_of",
    "load_results",
    "merge_stores",
    "open_results",
    "open_store",
    "repair_store",
    "verify_store",
    "whole_cells",
]
