"""Results as a pandas frame: one row a request.

Arrow reads the lines, many times faster than they can be checked one by one. A file that Arrow
cannot read is read with all checks, which name its damage, if there is any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
from pyarrow import compute
from pyarrow import json as arrow_json

from icl_gap.files import read_regular
from icl_gap.results.cell_files import check_record, key_prefix, parse_header, read_cell
from icl_gap.results.columns import CELL_FIELDS, RECORD_FIELDS, Field, record_fields
from icl_gap.schema import SCHEMA_VERSION, CellInfo, CellResult, Metric, Record, Status

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = (
    "query_id", "status", "shots_effective", "coverage", "matched", *get_args(Metric),
    "gold_logprob",
)  # fmt: skip
"""Columns of requests that `analyze` needs."""
_STATUSES = pa.array(get_args(Status))
_CELL_TYPES = {pa.string(): "category", pa.int64(): "Int64", pa.bool_(): "bool"}


def frame_of(cells: Iterable[CellResult]) -> pd.DataFrame:
    """Return cells that are in memory as a frame; see `icl_gap.load_results` for its columns."""
    cells = list(cells)
    tables = [_table_of(cell.records, RECORD_FIELDS) for cell in cells]
    return _assemble([cell.info for cell in cells], tables)


def read_frame(
    infos: Sequence[CellInfo], paths: Iterable[Path], columns: Collection[str] | None
) -> pd.DataFrame:
    """Read cells on disk into a frame.

    Args:
        infos: Their descriptions.
        paths: Their files.
        columns: Columns of requests to read, beside those of cells; all by default.

    Raises:
        StoreError: A file is damaged.
    """
    wanted = record_fields(columns)
    tables = (_read_table(path, info, wanted) for info, path in zip(infos, paths, strict=True))
    return _assemble(infos, list(tables))


def _schema(wanted: Sequence[Field]) -> pa.Schema:
    return pa.schema([(field.name, field.type) for field in wanted])


def _read_table(path: Path, info: CellInfo, wanted: Sequence[Field]) -> pa.Table:
    key, schema = key_prefix(path), _schema(wanted)
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
        return _checked_table(path, info, wanted)
    good = (
        lines.endswith(b"\n")
        and info.schema_version == SCHEMA_VERSION
        and (table.num_rows == info.n_queries or table.num_rows == _n_records(lines[:start], key))
        and not any(table[field.name].null_count for field in wanted if not field.optional)
        and compute.all(compute.is_in(table["status"], value_set=_STATUSES)).as_py()
    )
    return table.slice(0, info.n_queries) if good else _checked_table(path, info, wanted)


def _n_records(header: bytes, key: str) -> int:
    """Return how many records a file says that it holds; more than wanted after a higher limit."""
    return parse_header(header, key).n_queries


def _checked_table(path: Path, info: CellInfo, wanted: Sequence[Field]) -> pa.Table:
    """Read a cell with all checks, which name its damage, if there is any."""
    return _table_of(read_cell(path).records[: info.n_queries], wanted)


def _table_of(records: Sequence[Record], wanted: Sequence[Field]) -> pa.Table:
    columns = {
        field.name: [_plain(getattr(record, field.name)) for record in records] for field in wanted
    }
    return pa.table(columns, schema=_schema(wanted))


def _plain(value: Any) -> Any:
    """Return a value as Arrow takes it; lone surrogates, which it cannot hold, become escapes."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list() | tuple():
            return [_plain(each) for each in value]
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
    return value


def _assemble(infos: Sequence[CellInfo], tables: Sequence[pa.Table]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    which = np.repeat(np.arange(len(infos)), np.array([table.num_rows for table in tables], int))
    columns = {
        name: _repeated([getattr(info, field.name) for info in infos], which, field.type)
        for field in CELL_FIELDS
        for name in field.columns
    }
    selections = [info.spec.get("sampler", {}).get("selection") for info in infos]
    columns["selection"] = _repeated(selections, which, pa.string())
    if tables:
        columns |= _record_columns(pa.concat_tables(tables))
    return pd.DataFrame(columns)


def _repeated(values: Sequence[Any], which: Any, type_: pa.DataType | None) -> Any:
    """Return one value for each cell as one for each row."""
    import pandas as pd

    series = pd.Series(values, dtype=_CELL_TYPES[type_])
    return series.take(which).reset_index(drop=True)


def _record_columns(table: pa.Table) -> dict[str, Any]:
    import pandas as pd

    types = {
        pa.bool_(): pd.BooleanDtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.string(): pd.StringDtype("pyarrow"),
    }
    found = {}
    for field in RECORD_FIELDS:
        if field.name not in table.column_names:
            continue
        column = table[field.name]
        parts = column.flatten() if pa.types.is_struct(column.type) else [column]
        for name, part in zip(field.columns, parts, strict=True):
            if field.categorical:
                found[name] = part.dictionary_encode().to_pandas()
            elif pa.types.is_list(part.type):
                found[name] = pd.Series(part, dtype=pd.ArrowDtype(part.type))
            else:
                found[name] = part.to_pandas(types_mapper=types.get)
    return found
