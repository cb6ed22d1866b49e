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
            "model": subject.identity.name,
            "server": subject.spec.base_url,
            "its key comes from": subject.spec.api_key_env,
            "names it may answer by": ", ".join((subject.spec.model, *subject.spec.model_alias)),
        }
        for subject in dict.fromkeys(cell.subject for cell in planned.cells)
        if isinstance(subject.spec, OpenAISpec)
    ]
