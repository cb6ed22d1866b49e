"""How requests to a server were sent, in the provenance of cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import INFO

from icl_gap.results.request_forms import continued, same_form, with_provenance

NAMES = st.lists(st.sampled_from(["temperature", "max_tokens", "seed"]), unique=True)


def info(**provenance: Any) -> Any:
    return replace(INFO, provenance={"device": "here", **provenance})


@given(NAMES, NAMES)
def test_what_any_request_lacked_stays(before, now) -> None:
    found = continued(info(left_out=now, api="chat"), info(left_out=before))
    assert set(found.provenance.get("left_out", [])) == {*before, *now}
    assert found.provenance["api"] == "chat"
    added = with_provenance(info(left_out=before), {"left_out": now} if now else {})
    assert set(added.provenance.get("left_out", [])) == {*before, *now}
    assert added.provenance["device"] == "here"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({"device": "there"}, {}, True),
        ({"api": "chat"}, {"api": "chat", "device": "there"}, True),
        ({"api": "chat"}, {"api": "completions"}, False),
        ({"api": "chat"}, {"api": "chat", "left_out": ["temperature"]}, False),
        ({"prompt_logprobs": "echo"}, {"prompt_logprobs": "unstable"}, False),
    ],
)
def test_a_form_is_the_endpoint_the_parameters_and_the_source_of_verdicts(one, other, same) -> None:
    assert same_form(info(**one), info(**other)) == same
