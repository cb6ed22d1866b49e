"""Templates, style and scripts made into one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from icl_gap.errors import InputError
from icl_gap.files import make_folder, write_atomically
from icl_gap.report.compressed import CompressedBlocks
from icl_gap.text import printable

FOLDER = Path(__file__).parent
SCRIPTS = (
    "page", "blocks", "filters", "list", "request", "response", "difference", "prompt", "tables",
    "tooltips", "start",
)  # fmt: skip
"""Parts of the script, in their order; `start` runs what the others declare."""
TEXT_COLUMNS = frozenset({
    "benchmark", "model", "queries", "family", "families", "best form", "status", "where",
    "exemplars", "identity", "part used", "fingerprint (sha256)", "texts in this page",
    "verdict", "at the largest", "condition", "setting", "A", "B",
})  # fmt: skip
"""Columns of text; all others hold numbers and are aligned to the right."""


def write_page(out: Path, make: Callable[[CompressedBlocks], Iterator[str]]) -> None:
    """Write a page whole or not at all.

    Args:
        out: The file to write.
        make: Makes the parts of the page; it adds to the blocks before it yields the first.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        make_folder(out.parent, follow=True)
        with tempfile.TemporaryFile() as blocks:
            parts = make(CompressedBlocks(blocks))
            write_atomically(out, (part.encode() for part in parts))
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror}", value=str(out)) from error


def render_page(template: str, blocks: CompressedBlocks, **context: Any) -> Iterator[str]:
    """Yield a page in parts.

    Args:
        template: Its file in `templates/`.
        blocks: All blocks of the page, the last of which lists the others.
        context: Further values for the template.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n".join(_read(f"script/{name}.js") for name in SCRIPTS)
    style = re.sub(r"\n\s*", "\n", _read("templates/report.css"))
    return environment.get_template(template).generate(
        style=Markup(style),  # noqa: S704 (our own)
        script=Markup(script),  # noqa: S704 (our own)
        script_hash=_hash(script),
        blocks=(Markup(block) for block in blocks),  # noqa: S704 (base64)
        text_columns=TEXT_COLUMNS,
        **context,
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _printable(value: object) -> object:
    """Return text in its printable form; markup and other values as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(script: str) -> str:
    """Return the hash of the script, the only one that the policy of the page allows."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
