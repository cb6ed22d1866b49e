"""Results on disk: one JSONL file per cell, and a manifest that says which cells belong together.

    results/NAME/
        sweep.json               the sweep as run, its cells, their labels, which are settled
        cells/CELL.jsonl         line 1: the cell (`CellInfo`); then one line per query (`Record`)
        cells/CELL.jsonl.failed  a cell whose every request is settled, some by a failure
        cells/CELL.jsonl.part    a cell that is not settled
        precision.json           requests answered again in float32, if the sweep asks for it
        damaged/                 files that were found damaged, as they were

A cell is found by its key, which ends its name; labels that no result depends on (a model's name,
its family) may change and are those of the manifest. Records come in any order: a begun file is
only ever appended to, and once it is whole, its lines are written in query order under the final
name. Each line ends with a checksum of itself and the cell's key, and `sweep.json` and
`precision.json` with one of the whole file. A run takes good lines over, cuts a torn last one off,
sets aside a file with any other damage, and asks failed requests anew; so a sweep stopped at any
moment goes on where it was. A first line that is damaged is written anew once the model is loaded,
which alone knows all of it; until then the records wait in a begun file without one. Two files of
one cell in one state are refused, as only the user can tell which is right.

Power cuts: a settled cell, a mended file, `sweep.json` and `precision.json` are brought to the disk
before they take their names, and the names before anything that they replace is removed. Each of
them is there whole, or as it was before. The last lines of begun files (`.part`) may be lost or
torn: they are handed to the system at once, which takes its time; a run asks for them again.

The checksums (CRC-32) tell accidents. They are no guard against forgery: whoever can write to the
folder can write a checksum that holds.

Only regular files are read and written in a results folder, and real folders entered; a symbolic
link, a FIFO or a device there is refused and left alone. The folder itself may be a link. What a
killed run leaves of files that were to replace others (`.icl-gap-*.tmp`) the next run removes.
"""

from __future__ import annotations

from icl_gap.results.cell_files import DamageError, cell_name
from icl_gap.results.checksummed import PRECISION, dump_checksummed, read_checksummed
from icl_gap.results.frame import OUTCOMES, frame_of
from icl_gap.results.locking import store_errors
from icl_gap.results.manifest import MANIFEST
from icl_gap.results.merging import merge_stores
from icl_gap.results.reading import Results, load_results, open_results
from icl_gap.results.repairing import repair_store, set_aside
from icl_gap.results.verifying import DamagedFile, missing_cells, verify_store
from icl_gap.results.writing import CellFile, StoreWriter, likely_finished, open_store

__all__ = [
    "MANIFEST",
    "OUTCOMES",
    "PRECISION",
    "CellFile",
    "DamageError",
    "DamagedFile",
    "Results",
    "StoreWriter",
    "cell_name",
    "dump_checksummed",
    "frame_of",
    "likely_finished",
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
