"""A cache of parsed benchmarks in Arrow files.

There is one file for each benchmark, split and set of options, in the stream format of Hugging Face
`datasets` (`datasets.Dataset.from_file` opens it). Its columns are id, source and target, with
train before test. The metadata of the schema hold the number of training rows and the fingerprint.
After the end of the stream, where Arrow's readers stop, comes the sha256 of everything before; a
file that does not match it is made anew. pyarrow alone reads and writes the file, since importing
`datasets` takes a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from icl_gap.cache_folder import cache_root
from icl_gap.data.examples import Sides
from icl_gap.data.locations import sha256_of
from icl_gap.files import read_regular, remove_temporaries, write_atomically
from icl_gap.schema import Example

_log = logging.getLogger(__name__)

COLUMNS = ("id", "source", "target")

_DIGEST = hashlib.sha256().digest_size
_LARGE = 2**26
"""The size in bytes from which the sha256 of a file is cached."""


def read_cached(path: Path) -> tuple[Sides, str] | None:
    """Read a benchmark from the cache.

    The checksum is verified before Arrow sees the file: Arrow trusts the offsets in a file, and
    damaged ones would end the process.

    Args:
        path: The Arrow file.

    Returns:
        Both sides and the fingerprint; None if there is no such file, or it is damaged.
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
        # A complete file that is not a benchmark raises errors of many kinds.
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
    """Write a benchmark to the cache; do nothing if the folder cannot be written.

    The file gets its name only once it is complete, so that two processes may write it at the same
    time. Temporary files of killed processes are removed.

    Args:
        path: The Arrow file.
        sides: Both sides.
        mark: Their fingerprint, see `compute_fingerprint`.
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
    _write_if_possible(path, [content, hashlib.sha256(content).digest()])


def _write_if_possible(path: Path, content: Iterable[bytes]) -> None:
    """Write a file of the cache atomically; do nothing if that fails."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent)
        write_atomically(path, content)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal.

    For a large file it is cached under the file's path, size and time of change.
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
    _write_if_possible(note, [digest.encode()])
    return digest
