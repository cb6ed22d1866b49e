from __future__ import annotations

import gzip
import random
from pathlib import Path

from asking import complete
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models import NearestExemplarSpec, identify, load_model, load_tokenizer
from icl_gap.models.baselines.nearest_exemplar import nearest_exemplar
from icl_gap.schema import Completion, Example, Prompt

WORDS = ("walk", "jump", "left", "and", "after", "the")
SOURCES = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def example(source: str, target: str = "", id_: str = "x") -> Example:
    return Example(id_, source, target)


def found(source: str, *sources: str) -> str | None:
    best = nearest_exemplar(source, [example(s) for s in sources])
    return None if best is None else best.source


def test_function_words_weigh_little() -> None:
    mirrored, other = "walk left and jump twice", "jump twice after walk right"
    assert found("jump twice after walk left", other, mirrored, other) == mirrored


def test_word_order_decides_between_equal_bags() -> None:
    assert found("jump left walk right", "jump right walk left", "jump left right walk") == (
        "jump left right walk"
    )


def test_the_later_of_equals_wins() -> None:
    first, second = example("walk", "A", "1"), example("walk", "B", "2")
    best = nearest_exemplar("walk", [first, second, example("jump")])
    assert best is second


def test_without_exemplars_the_answer_is_empty() -> None:
    spec = NearestExemplarSpec()
    identity = identify(spec)
    model = load_model(spec, identity)
    prompts = [Prompt("q", "walk", (), ""), Prompt("q", "walk", (example("walk", "W\nX"),), "")]
    assert complete(model, prompts) == [Completion("", "stop"), Completion("W", "stop")]
    assert model.info.n_params is None
    assert load_tokenizer(spec, identity) is None


@given(source=SOURCES, others=st.lists(SOURCES, max_size=6))
def test_an_equal_source_is_nearest(source: str, others: list[str]) -> None:
    best = nearest_exemplar(source, [example(s) for s in [*others, source]])
    assert best is not None
    assert best.source.split() == source.split() or not source


def test_finds_mirrored_commands_of_scan(data_root: Path) -> None:
    path = data_root / "scan" / "mcd_split" / "tasks_test_mcd1.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.strip().removeprefix("IN: ").split(" OUT: ") for line in file]
    examples = [Example(source, source, target) for source, target in rows]
    draw = random.Random(0)  # noqa: S311 # no secret, a sample
    solved = 0
    for query in draw.sample(examples, 60):
        pool = [it for it in examples if it is not query]
        best = nearest_exemplar(query.source, draw.sample(pool, 900))
        solved += best is not None and best.target == query.target
    assert solved >= 3
