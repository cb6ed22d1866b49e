"""Rows of the table of servers that `icl-gap plan` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icl_gap.evaluation.estimates import ServerUse

SERVER_COLUMNS = ("server", "key from", "accepted names")


def server_row(use: ServerUse) -> dict[str, str]:
    """Return the row of a model on a server; the variable of its key is named, but not read."""
    values = (use.base_url, use.api_key_env, ", ".join(use.answers_as))
    return {"model": use.model, **dict(zip(SERVER_COLUMNS, values, strict=True))}
