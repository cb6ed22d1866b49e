"""Whether an answer that is still being written can end in its target's normal form.

Decoding asks this after each token, and stops a request that cannot score any more. An answer is
given up only if no way of going on has the target's meaning, however odd that way would be:
`?x0 ` may still become `?x0 /b`, which the scorer reads as one more variable.
"""

from __future__ import annotations

from typing import assert_never

from icl_gap.programs import numbers as number
from icl_gap.programs.faults import MalformedError, UndecidedError
from icl_gap.programs.funql import funql_prefix as prefix_funql
from icl_gap.programs.sparql import sparql_prefix as prefix_sparql
from icl_gap.programs.tokens import starts_words
from icl_gap.schema import CanonicalForm
from icl_gap.text import drop_incomplete_character


def can_match(text: str, target: str, form: CanonicalForm) -> bool:
    """Whether an answer that begins with a text can, by going on, score as canonically equal.

    True exactly if some text, perhaps an empty one, can be appended so that `score` finds the whole
    equal to the target by its normal form; with two exceptions, both of them towards True:

    - The search for a renaming of variables outgrew its bound (`isomorphism.WORK_BOUND`).
    - `score` itself would find the whole `undecided`, for the same reason.

    Args:
        text: What is written so far. It may end within a word; up to three U+FFFD at its end stand
            for bytes that are not yet a whole character, and anything may come of them.
        target: The gold program. A malformed one is matched by nothing but its own text.
        form: The normal form in which both are compared.
    """
    text, target = drop_incomplete_character(text), target.strip()
    if target.startswith(text.lstrip()) or text.strip() == target:
        return True
    match form:
        case "tokens":
            return bool(target) and starts_words(text, target)
        case "sparql":
            query = prefix_sparql.read_target(target)
            return query is not None and _is_possible(text, query)
        case "funql":
            program = prefix_funql.read_target(target)
            return program is not None and prefix_funql.can_become(text, program)
        case "number":  # whatever was written, `#### 72` may follow
            return _has_number(target)
        case _:
            assert_never(form)


def _has_number(target: str) -> bool:
    try:
        number.parse(target)
    except MalformedError:
        return False
    return True


def _is_possible(text: str, query: prefix_sparql.Target) -> bool:
    try:
        return prefix_sparql.can_become(text, query)
    except UndecidedError:
        return True
