"""`icl-gap models`: the model families that a sweep can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, say_note, show_table
from icl_gap.errors import InputError

if TYPE_CHECKING:
    from icl_gap.models.zoo import ZooModel


def models(
    family: Annotated[
        str | None, typer.Argument(help="Show the details of this family alone.")
    ] = None,
) -> None:
    """List the model families that a sweep can name."""
    from icl_gap.models.zoo import members, zoo

    if family is None:
        rows = [_row(each) for name in zoo() for each in members(name)]
        show_table(rows, left=_TEXT_COLUMNS)
        say("in a sweep: {family: opt}, or {family: opt, sizes: [125m, 1.3b]}")
        return
    if family not in zoo():
        raise InputError("no such family", value=family, allowed=tuple(zoo()))
    about = zoo()[family]
    say(about.title)
    say(f"licence: {about.licence}\nsource: {about.source}")
    if about.chat:
        say("tuned to chat" + (", and to think first" if about.thinking else ""))
    if about.training_seeds:
        say(f"training seeds: {', '.join(map(str, about.training_seeds))}")
    if about.note:
        say_note(about.note)
    show_table([_details(each) for each in members(family)], left=_TEXT_COLUMNS)


_TEXT_COLUMNS = ("family", "size", "model", "known", "licence")


def _row(each: ZooModel) -> dict[str, str]:
    """Return a row of the table of all families, with rounded numbers."""
    from icl_gap.analysis import format_count

    return {
        "family": each.family,
        "size": each.size,
        "model": each.listed_name,
        "parameters": format_count(each.n_params),
        "non-embedding": format_count(each.n_params_non_embedding),
        "known": each.size_source,
        "tokens": format_count(each.training_tokens),
        "licence": each.licence,
    }


def _details(each: ZooModel) -> dict[str, str]:
    """Return a row of the table of one family, with exact numbers."""
    row = _row(each)
    return {
        "size": row["size"],
        "model": row["model"],
        "parameters": _whole(each.n_params),
        "non-embedding": _whole(each.n_params_non_embedding),
        "known": row["known"],
        "context": _whole(each.context_length),
        "tokens": _whole(each.training_tokens),
        "licence": row["licence"],
    }


def _whole(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
