"""A benchmark holds hundreds of megabytes of text; what stands for it in a console does not."""

from __future__ import annotations

import pytest
from studies import save_card

from icl_gap import load_benchmark
from icl_gap.data.examples import Sides
from icl_gap.data.resplitting import NewSplit
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.planning import Plan, plan_sweep
from icl_gap.evaluation.shards import into_shards
from icl_gap.evaluation.texts import Examples
from icl_gap.programs.language import Database
from icl_gap.schema import Benchmark, CellResult, Example, Exemplars

MANY = tuple(Example(f"a-{n}", "walk\ntwice" * 9, "WALK " * 9) for n in range(500))
BENCHMARK = Benchmark("a" * 300, "b\nc", MANY, MANY, "0" * 64, "train 500 of 501" * 30)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    card = save_card(tmp_path_factory.mktemp("data"))
    fields = {"name": "s", "datasets": [card], "models": ["nearest"], "shots": [1, 2]}
    return plan_sweep(SweepSpec.model_validate(fields))


def check_brief(value: object) -> None:
    shown = repr(value)
    assert len(shown) < 200
    assert shown.isprintable()
    assert type(value).__name__ in shown


@pytest.mark.parametrize(
    "value",
    [
        BENCHMARK,
        load_benchmark("scan"),
        Sides(list(MANY), list(MANY)),
        NewSplit(MANY, MANY, 0.1, 0.2),
        Examples([BENCHMARK]),
        Exemplars(MANY[0], MANY[:30], (0.5,) * 31),
        Database("state('a')." * 999, {each.id: {"m0": "x"} for each in MANY}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_examples_is_one_short_line(value) -> None:
    check_brief(value)


def test_the_parts_of_a_plan_are_each_one_short_line(plan) -> None:
    cell: Cell = plan.cells[0]
    request = plan.requests(cell)[0]
    for value in (
        plan,
        cell,
        cell.benchmark,
        cell.model,
        request,
        plan.sizes(cell),
        into_shards(plan.cells, 2)[0],
        CellResult(cell.info, ()),
    ):
        check_brief(value)


def test_a_benchmark_tells_its_name_and_its_sizes() -> None:
    shown = repr(load_benchmark("scan", "mcd1"))
    assert "scan/mcd1" in shown
    assert "train 8,365, test 1,045" in shown
