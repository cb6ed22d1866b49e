"""Logical forms of COGS (Kim & Linzen 2020, arXiv 2010.05465), compared token by token."""

from __future__ import annotations

from icl_gap.programs.tokens import TokenSequence


class LogicalForm(TokenSequence):
    """Programs that are compared token by token and cannot be run."""

    name = "logical_form"
    execution = "none"


LOGICAL_FORM = LogicalForm()
