"""The table of servers that `icl-gap plan` shows: which key goes where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icl_gap.evaluation.estimates import ServerUse

SERVER_COLUMNS = ("server", "its key comes from", "names it may answer by")


def server_row(use: ServerUse) -> dict[str, str]:
    """Return the row of a model that a server runs; its key is not read."""
    values = (use.base_url, use.api_key_env, ", ".join(use.answers_as))
    return {"model": use.model, **dict(zip(SERVER_COLUMNS, values, strict=True))}
