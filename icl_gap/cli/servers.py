"""Which key goes where, for the plan of a sweep that asks servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icl_gap.models import OpenAISpec

if TYPE_CHECKING:
    from icl_gap.evaluation.planning import Plan


def server_rows(planned: Plan) -> list[dict[str, str]]:
    """One row for each model that a server runs: its server, and the variable of its key.

    The variable is named, and not read.
    """
    return [
        {
            "model": model.identity.name,
            "server": model.spec.base_url,
            "its key comes from": model.spec.api_key_env,
            "names it may answer by": ", ".join((model.spec.model, *model.spec.model_alias)),
        }
        for model in dict.fromkeys(cell.model for cell in planned.cells)
        if isinstance(model.spec, OpenAISpec)
    ]
