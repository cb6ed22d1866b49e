"""The store of results: a JSONL file for each cell, and a manifest of the cells of a sweep.

    results/NAME/
        sweep.json               the manifest: the sweep as run, its cells, their labels and states
        cells/CELL.jsonl         line 1: the header (`CellInfo`); then one `Record` a line
        cells/CELL.jsonl.failed  a cell whose every request has a record, some of them failures
        cells/CELL.jsonl.part    a cell that lacks records
        precision.json           requests repeated in float32, if the sweep asks for it
        repeats.json             requests asked several times, if the sweep asks for it
        spending.json            dollars that models with a `price` have cost, over all runs
        damaged/                 files that were found damaged, as they were

A cell is found by its key, whose start ends the file's name. Labels on which no result depends (a
model's name, its family) may change; those of the manifest count. A partial file is only ever
appended to, its records in any order. Once it has a record of each query, the lines are written in
query order under the final name. Each line ends with a checksum of itself and the cell's key;
`sweep.json` and the other JSON files have one of the whole file.

A file may hold more queries than the sweep asks, after a higher `limit`. The manifest says how many
count: the first, in query order. The others stay and count again once the limit is raised.

Resuming: a run keeps good lines, removes a torn last one, sets aside a file with any other damage,
and repeats failed requests, so a sweep stopped at any moment goes on from there. A damaged header
is written again once the model is loaded, which alone knows all of it; until then the records wait
in a partial file without one. Two files of one cell in one state are an error, because only the
user can tell which is right.

Power cuts: a settled cell, a repaired file, `sweep.json` and the other JSON files are on the disk
before they take their names, and the names are on the disk before anything that they replace is
removed. Each is there whole, or as it was before. The last lines of partial files may be lost or
torn, because they are handed to the operating system, which writes them when it likes; a run
repeats their requests.

Versions: files carry the version of their schema. Version 4 is migrated on reading (`migration`),
and a run does not go on with it, because its cells have other keys.

The checksums (CRC-32) reveal accidents. They are no protection against forgery: whoever can write
to the folder can write a valid checksum.

Only regular files are read and written in a results folder, and only real folders are entered. A
symbolic link, a FIFO or a device there is refused and left alone. The folder itself may be a link.
Temporary files of killed runs (`.icl-gap-*.tmp`) are removed by the next run.
"""

from __future__ import annotations

from icl_gap.results.cell_files import DamageError, cell_name
from icl_gap.results.checksummed import (
    PRECISION,
    REPEATS,
    SPENDING,
    dump_checksummed,
    read_checksummed,
)
from icl_gap.results.frame import OUTCOMES, frame_of
from icl_gap.results.kept import Kept, find_kept
from icl_gap.results.locking import store_errors
from icl_gap.results.manifest import MANIFEST
from icl_gap.results.merging import merge_stores
from icl_gap.results.reading import Results, load_results, open_results
from icl_gap.results.repairing import repair_store, set_aside
from icl_gap.results.request_forms import check_endpoints
from icl_gap.results.verifying import DamagedFile, missing_cells, verify_store
from icl_gap.results.writing import CellFile, StoreWriter, open_store

__all__ = [
    "MANIFEST",
    "OUTCOMES",
    "PRECISION",
    "REPEATS",
    "SPENDING",
    "CellFile",
    "DamageError",
    "DamagedFile",
    "Kept",
    "Results",
    "StoreWriter",
    "cell_name",
    "check_endpoints",
    "dump_checksummed",
    "find_kept",
    "frame_of",
    "load_results",
    "merge_stores",
    "missing_cells",
    "open_results",
    "open_store",
    "read_checksummed",
    "repair_store",
    "set_aside",
    "store_errors",
    "verify_store",
]
