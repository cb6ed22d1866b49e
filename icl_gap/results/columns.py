"""Columns of results, derived from the fields of `Record` and `CellInfo`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from icl_gap.schema import CellInfo, FrameColumn, Record

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record or of a cell's description."""

    name: str
    column: FrameColumn
    type: pa.DataType | None
    """Its type in Arrow, a struct for a mapping or a dataclass; None where it has no column."""
    optional: bool
    """Whether it may be None."""
    categorical: bool
    """Whether few different values are expected."""
    prefix: str
    """Start of the names of the columns of a struct's members; empty for a mapping."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a frame that the field becomes."""
        if self.type is None:
            return ()
        if pa.types.is_struct(self.type):
            return tuple(f"{self.prefix}{member.name}" for member in self.type)
        return (self.column.name or self.name,)


def _fields(kind: type[Any]) -> tuple[Field, ...]:
    """Return the fields of a dataclass, in order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(name, hint) for name, hint in hints.items())


def _field(name: str, hint: Any) -> Field:
    column = FrameColumn()
    if get_origin(hint) is Annotated:
        hint, column = get_args(hint)
    members = (
        get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
    )
    (plain,) = (member for member in members if member is not NoneType)
    return Field(
        name=name,
        column=column,
        type=_arrow_type(plain) if column.in_frame else None,
        optional=NoneType in members,
        categorical=column.categorical or get_origin(plain) is Literal,
        prefix=f"{name}_" if is_dataclass(plain) else "",
    )


def _arrow_type(hint: Any) -> pa.DataType:
    """Return the type in Arrow of a field's type, which is not optional."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        return pa.struct([(f.name, f.type) for f in _fields(hint) if f.type is not None])
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin is Literal:
            return pa.string()
        case origin if origin is tuple:
            return pa.list_(_arrow_type(arguments[0]))
        case origin if origin is Mapping:
            key, value = arguments
            return pa.struct([(name, _arrow_type(value)) for name in get_args(key)])
    raise TypeError(f"a field of type {hint} has no column; annotate it with `in_frame=False`")


RECORD_FIELDS = _fields(Record)
CELL_FIELDS = tuple(field for field in _fields(CellInfo) if field.type is not None)
INCIDENTAL = frozenset(field.name for field in RECORD_FIELDS if field.column.incidental)
"""Names of fields that may differ where records of one request are the same."""
_ALWAYS = frozenset({"query_id", "status"})


def record_fields(columns: Collection[str] | None) -> tuple[Field, ...]:
    """Return the fields of records that are needed for some columns of a frame.

    Args:
        columns: The columns; all by default. `query_id` and `status` are always among them.
    """
    if columns is None:
        return RECORD_FIELDS
    wanted = _ALWAYS.union(columns)
    return tuple(f for f in RECORD_FIELDS if not wanted.isdisjoint({f.name, *f.columns}))
