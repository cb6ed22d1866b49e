"""Table of the target languages, by the name that dataset cards give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from icl_gap.programs.funql import FUNQL
from icl_gap.programs.language import Language
from icl_gap.programs.logical_forms import LOGICAL_FORM
from icl_gap.programs.numbers import NUMBER
from icl_gap.programs.scan import SCAN
from icl_gap.programs.sparql import SPARQL
from icl_gap.programs.tokens import TOKENS

LANGUAGES: Mapping[str, Language[Any]] = MappingProxyType(
    {each.name: each for each in (FUNQL, LOGICAL_FORM, NUMBER, SCAN, SPARQL, TOKENS)}
)
"""Every language that a card may name."""
