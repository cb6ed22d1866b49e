"""The options `--shard` and `--shards`: a sweep divided into parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from icl_gap.cli.console import say, show_progress, show_table
from icl_gap.errors import InputError

if TYPE_CHECKING:
    from icl_gap.evaluation.planning import ShardNumber


MOST_SHARDS = 999_999


def read_shard(text: str | None) -> ShardNumber | None:
    """Parse `--shard I/N` into (I - 1, N); None for None."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    part, number = (0, 0) if found is None else map(int, found.groups())
    if not 1 <= part <= number:
        raise InputError("no such part", value=text, allowed="--shard 1/N to N/N")
    return part - 1, number


def show_shards(sweep: Path, number: int) -> None:
    """Print how a sweep is divided, and how to run its parts."""
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.planning import outline_sweep
    from icl_gap.evaluation.shards import into_shards

    planned = outline_sweep(read_sweep(sweep), progress=show_progress)
    parts = into_shards(planned.cells, number)
    rows = [
        {
            "shard": f"{n}/{number}",
            "cells": f"{len(part.cells):,}",
            "requests": f"{sum(cell.info.n_queries for cell in part.cells):,}",
            "share of work": f"{part.share:.1%}",
            "models": ", ".join(dict.fromkeys(cell.info.model for cell in part.cells)) or "-",
        }
        for n, part in enumerate(parts, start=1)
    ]
    show_table(rows, left=("models",))
    say(f"to run one: icl-gap run {sweep} --shard 1/{number} --out PART")
    say("to bring them together: icl-gap store merge PART... --out RESULTS")
