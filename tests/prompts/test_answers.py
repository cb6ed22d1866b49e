"""The answer in a chat response, by each rule."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import programs

from icl_gap.prompts import extract_answer
from icl_gap.schema import AnswerRule

RULES = get_args(AnswerRule)
LABEL = "Query:"
EXPLAINED = "Sure, here it is.\n\n```sql\nanswer(state(all))\n```\nIt lists all states."


def answer(text: str, rule: AnswerRule, pattern: str | None = None) -> str | None:
    return extract_answer(text, rule, label=LABEL, pattern=pattern)


@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        ("answer(a)", "first_line", "answer(a)"),
        ("\n  Query: `answer(a)` \nAs asked.", "first_line", "answer(a)"),
        ("```\nanswer(a)\n```", "first_line", "answer(a)"),
        ("```answer(a)```", "first_line", "answer(a)"),
        (EXPLAINED, "first_line", "Sure, here it is."),
        (EXPLAINED, "last_line", "It lists all states."),
        ("First think.\nQuery: answer(a)\n```", "last_line", "answer(a)"),
        ("Query: no\nQuery: answer(a)\nmore", "after_label", "answer(a)"),
        ("Query:\n\n```\nanswer(a)\n```", "after_label", "answer(a)"),
        ("answer(a)", "after_label", None),
        (EXPLAINED, "fenced", "answer(state(all))"),
        ("```\na\n```\n```sql\nSELECT x\n  WHERE y\n```", "fenced", "SELECT x WHERE y"),
        ("```\nnever closed", "fenced", None),
        ("no block", "fenced", None),
    ],
)
def test_what_each_rule_takes(text, rule, found) -> None:
    assert answer(text, rule) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"answer\([^)]*\)", "answer(b)"),
        (r"answer\((.)\)", "b"),
        ("(x)?answer", None),
        ("nope", None),
    ],
)
def test_the_last_match_of_a_pattern_counts(pattern, found) -> None:
    assert answer("answer(a) or answer(b)", "regex", pattern) == found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("text", ["", " \n\t", "```\n```", "``", "Query:", "Query: \n`Query:`"])
def test_nothing_is_no_answer(rule, text) -> None:
    assert answer(text, rule, "Q.*|") is None or rule == "regex"


@given(st.text(), st.sampled_from(RULES), st.sampled_from(["", LABEL, "Form:"]))
def test_any_text_has_an_answer_of_its_own_or_none(text, rule, label) -> None:
    found = extract_answer(text, rule, label=label, pattern=r"\w+")
    if found is not None:
        assert found
        assert found == found.strip()
        assert "".join(found.split()) in "".join(text.split())


@given(programs, st.sampled_from(["first_line", "last_line"]))
def test_a_bare_answer_is_found_whole(program, rule) -> None:
    for text in (program, f"{LABEL} {program}", f"```\n{program}\n```", f" `{program}`\n"):
        assert answer(text, rule) == program
    assert answer(f"{LABEL} {program}", "after_label") == program
    assert answer(f"```\n{program}\n```", "fenced") == program
