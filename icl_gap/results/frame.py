"""Results as a pandas frame: one row a request, one column a field.

Arrow reads the lines, many times faster than they can be checked one by one. A file with which it
has trouble is read with all checks, which name what is wrong with it, if anything is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
from pyarrow import compute
from pyarrow import json as arrow_json

from icl_gap.files import read_regular
from icl_gap.results.cell_files import check_record, key_of, parse_header, read_cell
from icl_gap.schema import CellInfo, CellResult, Record, Status

if TYPE_CHECKING:
    import pandas as pd

_DIVERGENCE = pa.struct(
    [("position", pa.int64()), ("expected", pa.string()), ("actual", pa.string())]
)
_USAGE = pa.struct([("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64())])
_PARTS = {"divergence": _DIVERGENCE, "usage": _USAGE}
"""Fields that become a column for each of their parts."""
_FIELDS = pa.schema(
    [
        ("query_id", pa.string()),
        ("exemplar_ids", pa.list_(pa.string())),
        ("shots", pa.int64()),
        ("coverage", pa.float64()),
        ("prompt_sha256", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("status", pa.string()),
        ("prediction", pa.string()),
        ("finish_reason", pa.string()),
        ("raw", pa.bool_()),
        ("canonical", pa.bool_()),
        ("execution", pa.bool_()),
        ("reason", pa.string()),
        ("divergence", _DIVERGENCE),
        ("gold_logprob", pa.float64()),
        ("gold_tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("batch_tokens", pa.int64()),
        ("usage", _USAGE),
        ("served_model", pa.string()),
    ]
)
_STATUSES = pa.array(get_args(Status))
_NEVER_NULL = ("query_id", "shots", "coverage", "status")
OUTCOMES = (
    "query_id",
    "status",
    "shots_effective",
    "coverage",
    "raw",
    "canonical",
    "execution",
    "gold_logprob",
)
"""The columns of requests that `analyze` needs."""
_TEXTS = (
    "key",
    "model",
    "family",
    "size_source",
    "dataset",
    "split",
    "partial",
    "query_split",
    "condition",
)
_COUNTS = ("n_params", "n_params_non_embedding", "training_tokens", "shots", "seed")
_RENAMED = {"shots": "shots_effective"}
"""Fields of records whose names those of cells have too."""


def frame_of(cells: Iterable[CellResult]) -> pd.DataFrame:
    """Cells that are in memory as a frame; see `icl_gap.load_results` for its columns."""
    cells = list(cells)
    return _assemble(
        [cell.info for cell in cells], [_table(cell.records, _FIELDS) for cell in cells]
    )


def read_frame(
    infos: Sequence[CellInfo], paths: Iterable[Path], columns: Collection[str] | None
) -> pd.DataFrame:
    """Cells on disk as a frame.

    Args:
        infos: What each is.
        paths: Their files.
        columns: Which of the requests to read, beside those of the cells; all by default.

    Raises:
        StoreError: A file is damaged.
    """
    schema = pa.schema(
        [
            field
            for field in _FIELDS
            if columns is None or {field.name, _column(field.name)} & {*columns, *_NEVER_NULL}
        ]
    )
    tables = (_read(path, info, schema) for info, path in zip(infos, paths, strict=True))
    return _assemble(infos, list(tables))


def _read(path: Path, info: CellInfo, schema: pa.Schema) -> pa.Table:
    key = key_of(path)
    try:
        lines = read_regular(path)
        start = lines.index(b"\n") + 1
        for line in lines[start:].splitlines(keepends=True):
            check_record(line, key)
        table = arrow_json.read_json(
            pa.BufferReader(memoryview(lines)[start:]),
            arrow_json.ReadOptions(block_size=max(len(lines), 1 << 20)),
            arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        ).select(schema.names)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return _checked_table(path, info, schema)
    good = (
        lines.endswith(b"\n")
        and (table.num_rows == info.n_queries or table.num_rows == _n_records(lines[:start], key))
        and not any(table[name].null_count for name in _NEVER_NULL)
        and compute.all(compute.is_in(table["status"], value_set=_STATUSES)).as_py()
    )
    return table.slice(0, info.n_queries) if good else _checked_table(path, info, schema)


def _n_records(header: bytes, key: str) -> int:
    """Return how many records a file says that it holds: more than asked, after a higher limit."""
    return parse_header(header, key).n_queries


def _checked_table(path: Path, info: CellInfo, schema: pa.Schema) -> pa.Table:
    """Read a cell with all checks, which name what is wrong with it, if anything is."""
    return _table(read_cell(path).records[: info.n_queries], schema)


def _table(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    columns = {name: [getattr(record, name) for record in records] for name in schema.names}
    for name in _PARTS.keys() & columns.keys():
        columns[name] = [
            each and {part.name: getattr(each, part.name) for part in _PARTS[name]}
            for each in columns[name]
        ]
    return pa.table({name: _plain(column) for name, column in columns.items()}, schema=schema)


def _plain(value: Any) -> Any:
    """The same without lone surrogates, which Arrow cannot hold; these are written out."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {name: _plain(each) for name, each in value.items()}
    return value


def _assemble(infos: Sequence[CellInfo], tables: Sequence[pa.Table]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    which = np.repeat(np.arange(len(infos)), np.array([table.num_rows for table in tables], int))
    columns = {
        name: _repeated([getattr(i, name) for i in infos], which, "category") for name in _TEXTS
    }
    columns |= {
        name: _repeated([getattr(i, name) for i in infos], which, "Int64") for name in _COUNTS
    }
    columns["trained"] = _repeated([info.trained for info in infos], which, "bool")
    selections = [info.spec.get("sampler", {}).get("selection") for info in infos]
    columns["selection"] = _repeated(selections, which, "category")
    columns = {"cell" if name == "key" else name: column for name, column in columns.items()}
    if tables:
        columns |= _converted(pa.concat_tables(tables))
    return pd.DataFrame(columns)


def _repeated(values: Sequence[Any], which: Any, dtype: Any) -> Any:
    """One value a cell becomes one a row."""
    import pandas as pd

    return pd.Series(values, dtype=dtype).take(which).reset_index(drop=True)


def _converted(table: pa.Table) -> dict[str, Any]:
    import pandas as pd

    types = {
        pa.bool_(): pd.BooleanDtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.string(): pd.StringDtype("pyarrow"),
    }
    coded = ("query_id", "status", "finish_reason", "reason")
    found = {}
    for name, column in _flat(table):
        if name in coded:
            found[name] = column.dictionary_encode().to_pandas()
        elif pa.types.is_list(column.type):
            found[name] = pd.Series(column, dtype=pd.ArrowDtype(column.type))
        else:
            found[name] = column.to_pandas(types_mapper=types.get)
    return found


def _column(name: str) -> str:
    """What the frame calls a field of a record."""
    return _RENAMED.get(name, name)


def _flat(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for name in table.column_names:
        if name in _PARTS:
            names = (f"{name}_{part.name}" for part in _PARTS[name])
            yield from zip(names, table[name].flatten(), strict=True)
        else:
            yield _column(name), table[name]
