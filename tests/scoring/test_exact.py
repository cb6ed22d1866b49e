from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import executed, score

from icl_gap.errors import InputError
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Score
from icl_gap.scoring import score_batch

NAMES = st.sampled_from(list(LANGUAGES))
ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates too


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        ("WALK RUN", "WALK RUN", Score(raw=True, canonical=True)),
        (" WALK RUN\n", "WALK RUN", Score(raw=True, canonical=True)),
        ("WALK  RUN", "WALK RUN", Score(raw=False, canonical=True, reason="spacing")),
        ("RUN WALK", "WALK RUN", Score(raw=False, canonical=False, reason="different program")),
        ("WALK", "WALK RUN", Score(raw=False, canonical=False, reason="different program")),
        ("walk run", "WALK RUN", Score(raw=False, canonical=False, reason="different program")),
        ("I_WALK", "WALK", Score(raw=False, canonical=False, reason="different program")),
        ("WALKRUN", "WALK RUN", Score(raw=False, canonical=False, reason="different program")),
        ("", "WALK", Score(raw=False, canonical=False, reason="empty")),
        (" \n", "WALK", Score(raw=False, canonical=False, reason="empty")),
        ("WALK", " ", Score(raw=False, canonical=False, reason="malformed target: empty")),
        (" ", "\n", Score(raw=True, canonical=True)),
    ],
)
def test_tokens(prediction: str, target: str, expected: Score) -> None:
    assert score(prediction, target, "tokens") == expected


@given(ANY_TEXT, ANY_TEXT, NAMES)
def test_any_two_texts_have_a_score(prediction: str, target: str, language: str) -> None:
    found = score(prediction, target, language)
    back = score(target, prediction, language)
    assert found.raw == back.raw == (prediction.strip() == target.strip())
    assert found.canonical == back.canonical
    assert found.canonical or not found.raw
    assert (found.reason is None) == found.raw


@given(ANY_TEXT, NAMES)
def test_every_text_equals_itself(text: str, language: str) -> None:
    assert score(f" {text}\n", text, language) == Score(raw=True, canonical=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_answer_says_so(language: str) -> None:
    target = {
        "tokens": "WALK",
        "scan": "WALK",
        "logical_form": "WALK",
        "sparql": "SELECT count ( * ) WHERE { M0 a film }",
        "funql": "answer ( city )",
        "number": "3",
    }[language]
    assert score("\t", target, language).reason == "empty"
    assert score(target, "\t", language).reason == "malformed target: empty"


def test_a_batch_is_scored_pair_by_pair() -> None:
    predictions, targets = ["a", "b  c", "d"], ["a", "b c", "e"]
    pairs = zip(predictions, targets, strict=True)
    expected = [executed(prediction, target, "tokens") for prediction, target in pairs]
    assert score_batch(predictions, targets, LANGUAGES["tokens"]) == expected
    assert score_batch([], [], LANGUAGES["tokens"]) == []


def test_a_batch_that_does_not_pair_up_is_refused() -> None:
    with pytest.raises(InputError, match="do not pair up") as caught:
        score_batch(["a", "b"], ["a"], LANGUAGES["tokens"])
    assert caught.value.value == "2 predictions, 1 targets"
