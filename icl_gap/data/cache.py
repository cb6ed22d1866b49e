"""Parsed benchmarks, kept as Arrow so that the next start is fast.

One file a benchmark, split and set of options, in the stream form of Hugging Face `datasets`
(`datasets.Dataset.from_file` opens it): the columns id, source and target, train before test. The
schema's metadata tell the number of training rows and the fingerprint, which is checked on reading;
a file that does not fit its fingerprint is made anew. pyarrow alone reads and writes it, since
importing the library costs a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from icl_gap.data.examples import Sides, fingerprint
from icl_gap.data.places import cache_root, sha256_of
from icl_gap.records import Example

COLUMNS = ("id", "source", "target")

_LARGE = 2**26
"""Bytes from which a file's sha256 is remembered rather than computed on every start."""


def load(path: Path) -> tuple[Sides, str] | None:
    """Read a kept benchmark.

    Args:
        path: The Arrow file.

    Returns:
        Both sides and the fingerprint; None if there is none or it is damaged.
    """
    if not path.is_file():
        return None
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
            columns = [table[name].to_pylist() for name in COLUMNS]
        noted = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        examples = list(map(Example, *columns))
        n_train = int(noted["n_train"])
        sides = Sides(examples[:n_train], examples[n_train:])
        intact = fingerprint(sides.train, sides.test) == noted["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (sides, noted["fingerprint"]) if intact else None


def save(path: Path, sides: Sides, mark: str) -> None:
    """Keep a benchmark; where the folder cannot be written, it is simply not kept.

    The file appears under its name only once it is whole, so that two processes may do this at the
    same time.

    Args:
        path: The Arrow file.
        sides: Both sides.
        mark: Their fingerprint.
    """
    import pyarrow as pa

    examples = [*sides.train, *sides.test]
    features = {name: {"dtype": "string", "_type": "Value"} for name in COLUMNS}
    metadata = {
        "n_train": str(len(sides.train)),
        "fingerprint": mark,
        "huggingface": json.dumps({"info": {"features": features}}),
    }
    schema = pa.schema([(name, pa.string()) for name in COLUMNS], metadata=metadata)
    columns = [[getattr(example, name) for example in examples] for name in COLUMNS]
    table = pa.table([pa.array(column, pa.string()) for column in columns], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    write_whole(path, sink.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of the cache by an atomic rename, or not at all where that is not possible."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes.

    That of a large file is remembered under its path, size and time of change.
    """
    state = path.stat()
    if state.st_size < _LARGE:
        with path.open("rb") as file:
            return sha256_of(file)
    known = f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}"
    note = cache_root() / "sha256" / hashlib.sha256(os.fsencode(known)).hexdigest()
    with contextlib.suppress(OSError):
        noted = note.read_text(encoding="ascii")
        if len(noted) == 64:
            return noted
    with path.open("rb") as file:
        digest = sha256_of(file)
    write_whole(note, digest.encode())
    return digest
