"""Parts of a sweep: each cell is in one, what belongs together stays so, and costs are balanced."""

from __future__ import annotations

from itertools import chain

import pytest
from toys import sweep

from icl_gap.evaluation.grid import group_into_jobs
from icl_gap.evaluation.planning import outline_sweep, plan_sweep
from icl_gap.evaluation.shards import into_shards

SIZES = (16, 32, 48, 64, 96, 128)
MODELS = [{"kind": "random_init", "hidden_size": n, "layers": 1, "name": f"m{n}"} for n in SIZES]


@pytest.mark.parametrize("number", [1, 2, 3, 5, 9])
def test_each_cell_is_in_one_part_with_what_it_is_computed_with(toy_card, number) -> None:
    cells = outline_sweep(sweep(toy_card, models=[*MODELS, "nearest"])).cells
    parts = into_shards(cells, number)
    assert len(parts) == number
    keys = [[cell.info.key for cell in part.cells] for part in parts]
    assert sorted(chain.from_iterable(keys)) == sorted(cell.info.key for cell in cells)
    order = [cell.info.key for cell in cells]
    assert all(part == sorted(part, key=order.index) for part in keys)
    jobs = [len(group_into_jobs(part.cells)) for part in parts]
    assert sum(jobs) == len(group_into_jobs(cells))
    assert sum(part.share for part in parts) == pytest.approx(1)
    again = into_shards(outline_sweep(sweep(toy_card, models=[*MODELS, "nearest"])).cells, number)
    assert [[cell.info.key for cell in part.cells] for part in again] == keys


def test_parts_cost_about_the_same(toy_card) -> None:
    cells = outline_sweep(sweep(toy_card, models=MODELS)).cells
    largest = max(part.share for part in into_shards(cells, len(MODELS)))
    for number in (2, 3):
        shares = [part.share for part in into_shards(cells, number)]
        assert max(shares) <= max(1 / number + largest / 2, largest)  # what greedy filling gives


def test_a_plan_of_a_part_runs_that_part_and_knows_the_whole(toy_card) -> None:
    spec = sweep(toy_card, models=MODELS[:2])
    one, two = (plan_sweep(spec, shard=(part, 2)) for part in range(2))
    assert len(one.cells) == len(two.cells) == 32
    assert len(one.mine) == len(two.mine) == 16
    mine = {cell.info.key for cell in (*one.mine, *two.mine)}
    assert mine == {cell.info.key for cell in one.cells}
