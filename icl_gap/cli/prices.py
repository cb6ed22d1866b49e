"""Rows and notes of `icl-gap plan` on the price of models that servers run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icl_gap.evaluation.price_estimates import PriceEstimate

PRICE_TITLE = "price, without requests that are sent again after a failure"


def price_row(estimate: PriceEstimate) -> dict[str, str]:
    """Return a row of the table of prices."""
    tokens, about = estimate.tokens, "" if estimate.counted else "~"
    return {
        "model": estimate.model,
        "benchmark": estimate.benchmark,
        "requests": f"{estimate.requests:,}",
        "prompt tokens": f"{about}{tokens.prompt:,}",
        "response tokens": f"~{tokens.typical:,}",
        "at most": f"{tokens.most:,}",
        "typical price": f"${estimate.typical:,.2f}",
        "highest price": f"${estimate.most:,.2f}",
    }


def price_notes(estimates: Sequence[PriceEstimate]) -> Iterator[str]:
    """Yield what the table of prices takes for granted; nothing if there is no table."""
    from icl_gap.evaluation.price_estimates import CHARACTERS

    if estimates:
        yield (
            f"~ is an estimate of {CHARACTERS} characters a token; the typical price is that of "
            "responses as long as the gold targets, without thinking; the highest, that of "
            "responses which all reach their bound"
        )
