"""GGUF files: their place, and folders of the small files that `transformers` makes of them.

Configuration and tokenizer are made once of each file and version of `transformers`, which takes
from seconds to a minute, and kept in the cache. The weights stay in the file, and are unpacked to
the precision of the computation when they load.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from icl_gap.cache_folder import cache_root
from icl_gap.errors import ModelError
from icl_gap.files import make_folder
from icl_gap.models.hf import hub
from icl_gap.models.hf.gguf_header import GGUFHeader
from icl_gap.models.hf.remote_code import library_error
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.progress import said_if_slow

_FILE = "model.gguf"
_log = logging.getLogger(__name__)


def gguf_path(model: str, name: str, revision: str | None) -> Path:
    """Return the path of a GGUF file; fetch it where it is on the hub.

    Args:
        model: The folder, or the name on the hub.
        name: The file's path inside it.
        revision: A branch, tag or commit on the hub; None for the main branch.

    Raises:
        ModelError: There is no such file, or the hub is not reachable.
    """
    local = hub.local_folder(model)
    if local is None:
        return hub.fetch_file(model, name, revision)
    path = local / name
    if not path.is_file():
        found = sorted(each.name for each in local.glob("*.gguf")) or ["a folder that holds it"]
        raise ModelError("no such file", value=str(path), allowed=found).at(key="gguf")
    return path


def check_gguf(header: GGUFHeader, path: Path) -> None:
    """Refuse a GGUF file that `transformers` cannot read, or would read wrongly.

    Raises:
        ModelError: The package `gguf` is missing, the file is one part of several, or its positions
            are scaled in a way that `transformers` passes over.
    """
    if find_spec("gguf") is None:
        raise ModelError(
            "reading a GGUF file needs the package gguf, which is not installed",
            value=path.name,
            allowed="`pip install 'icl-gap[gguf]'`",
        ).at(key="gguf")
    if header.parts > 1:
        raise ModelError(
            f"this GGUF file is one of {header.parts} parts",
            value=path.name,
            allowed="one file, as `llama-gguf-split --merge` of llama.cpp makes it",
        ).at(key="gguf")
    if header.scaling is not None and header.architecture != "gpt-oss":
        raise ModelError(
            "this model scales its rotary positions, which transformers does not read from GGUF",
            value=f"{header.scaling} in {path.name}",
            allowed="the same model as safetensors, or behind a server (`base_url`)",
        ).at(key="gguf")


def gguf_folder(path: Path, digest: str, header: GGUFHeader) -> Path:
    """Return a folder with the configuration and the tokenizer of a GGUF file.

    Args:
        path: The file.
        digest: Its sha256.
        header: Its header.

    Raises:
        ModelError: `transformers` cannot read the architecture or the tokenizer.
        OSError: The cache cannot be written.
    """
    folder = cache_root() / "gguf" / f"{digest}-transformers-{version('transformers')}"
    if not folder.is_dir():
        _check_architecture(header, path)
        make_folder(folder.parent)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            with said_if_slow(_log, f"converting the tokenizer of {path}, once for this file"):
                _write_small_files(path, made)
            made.chmod(0o755)
            with suppress(OSError):  # another process was first
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _check_architecture(header: GGUFHeader, path: Path) -> None:
    with silence_transformers():
        from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    allowed = {*map(str, GGUF_SUPPORTED_ARCHITECTURES)}
    with suppress(ImportError):  # newer versions have a second reader
        allowed |= {*map(str, import_module("transformers.integrations.gguf").GGUF_CONFIG_ARCHS)}
    plain = {name.replace("_", "").replace("-", "") for name in allowed}
    if header.architecture.replace("_", "").replace("-", "") not in plain:
        raise ModelError(
            f"transformers cannot read GGUF files of the architecture {header.architecture}",
            value=path.name,
            allowed=sorted(allowed),
        ).at(key="gguf")


def _write_small_files(path: Path, folder: Path) -> None:
    """Write the configuration and the tokenizer as `save_pretrained` does."""
    with silence_transformers():
        from transformers import AutoConfig, AutoTokenizer

        try:
            with reading_gguf(path) as (source, name):
                config = AutoConfig.from_pretrained(source, gguf_file=name)
                tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=name)
            config.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except Exception as error:  # whatever can be wrong with a file
            raise library_error(error, "cannot read the GGUF file", str(path)) from error
    _forget_file(folder / "tokenizer_config.json")


def _forget_file(path: Path) -> None:
    """Take the name of the GGUF file out of a tokenizer's settings, where it means nothing."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings = {key: value for key, value in settings.items() if value != _FILE}
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")


@contextmanager
def reading_gguf(path: Path) -> Iterator[tuple[str, str]]:
    """Prepare for `transformers` to read a GGUF file.

    The file is linked into an empty folder, so that none beside it changes how it is read. The one
    progress bar that transformers makes without asking its own switch is turned off.

    Args:
        path: The file.

    Yields:
        The folder and the file's name in it.
    """
    from transformers import modeling_gguf_pytorch_utils as reader

    bar = getattr(reader, "tqdm", None)
    with tempfile.TemporaryDirectory(prefix="icl-gap-") as folder:
        (Path(folder) / _FILE).symlink_to(path.resolve())
        setattr(reader, "tqdm", lambda items, **_: items)  # noqa: B010 (no public name)
        try:
            yield folder, _FILE
        finally:
            setattr(reader, "tqdm", bar)  # noqa: B010
