"""Parsed benchmarks, kept as Arrow so that the next start is fast.

One file a benchmark, split and set of options, in the stream form of Hugging Face `datasets`
(`datasets.Dataset.from_file` opens it): the columns id, source and target, train before test. The
schema's metadata tell the number of training rows and the fingerprint. The sha256 of all that comes
after the end of the stream, where Arrow's readers stop; a file that does not fit it is made anew.
pyarrow alone reads and writes it, since importing the library costs a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from icl_gap.data.examples import Sides
from icl_gap.data.locations import cache_root, sha256_of
from icl_gap.files import read_regular, remove_temporaries, write_atomically
from icl_gap.schema import Example

_log = logging.getLogger(__name__)

COLUMNS = ("id", "source", "target")

_DIGEST = hashlib.sha256().digest_size
_LARGE = 2**26
"""Bytes from which a file's sha256 is remembered rather than computed on every start."""


def read_cached(path: Path) -> tuple[Sides, str] | None:
    """Read a kept benchmark.

    The file is read whole and its checksum verified before Arrow sees a byte of it: Arrow trusts
    the offsets in a file, and on damaged ones the process would die.

    Args:
        path: The Arrow file.

    Returns:
        Both sides and the fingerprint; None if there is none, or it is damaged.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s: cannot read the kept benchmark, so it is made anew: %s", path, error)
        return None
    end = max(0, len(content) - _DIGEST)
    if hashlib.sha256(memoryview(content)[:end]).digest() != content[end:]:
        _log.warning("%s: the kept benchmark is damaged, and is made anew", path)
        return None
    try:
        return _sides(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # Whole, and not a benchmark: Arrow and the columns say so in many ways.
        _log.warning("%s: the kept benchmark cannot be read, and is made anew: %s", path, error)
        return None


def _sides(content: bytes) -> tuple[Sides, str]:
    import pyarrow as pa

    table = pa.ipc.open_stream(content).read_all()
    columns = [table[name].to_pylist() for name in COLUMNS]
    noted = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    examples = list(map(Example, *columns))
    n_train = int(noted["n_train"])
    return Sides(examples[:n_train], examples[n_train:]), noted["fingerprint"]


def write_cached(path: Path, sides: Sides, mark: str) -> None:
    """Keep a benchmark; where the folder cannot be written, it is simply not kept.

    The file appears under its name only once it is whole, so that two processes may do this at the
    same time. What a killed process left of its writing is removed.

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
    content = sink.getvalue()
    _keep(path, [content, hashlib.sha256(content).digest()])


def _keep(path: Path, content: Iterable[bytes]) -> None:
    """Write a file of the cache in one step, or not at all where that is not possible."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent)
        write_atomically(path, content)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    That of a large file is remembered under its path, size and time of change.
    """
    state = path.stat()
    if state.st_size < _LARGE:
        with path.open("rb") as file:
            return sha256_of(file)
    known = f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}"
    note = cache_root() / "sha256" / hashlib.sha256(os.fsencode(known)).hexdigest()
    with contextlib.suppress(OSError, ValueError):
        noted = read_regular(note).decode("ascii")
        if len(noted) == 64:
            return noted
    with path.open("rb") as file:
        digest = sha256_of(file)
    _keep(note, [digest.encode()])
    return digest
