"""Results as a frame: what stands on disk, however it was read."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from pandas.testing import assert_frame_equal
from stored import INFO as STORED
from strategies import records
from studies import save_card, save_study

import icl_gap
from icl_gap.results import OUTCOMES, CellFile, StoreWriter, frame_of, open_results, open_store
from icl_gap.schema import CellResult, Record

INFO = replace(STORED, n_params=None, n_queries=1, spec={"sampler": {"selection": "shared"}})


@given(record=records())
def test_a_frame_from_disk_is_that_of_the_cells_in_memory(tmp_path_factory, record) -> None:
    folder = tmp_path_factory.mktemp("store")
    cell_file = CellFile(INFO, [record.query_id])
    with open_store(folder, {"name": "x"}, [INFO]), StoreWriter(folder, [cell_file]) as writer:
        writer.append(INFO.key, record)
    assert_frame_equal(icl_gap.load_results(folder), frame_of([CellResult(INFO, (record,))]))
    (again,) = open_results(folder)
    assert again.records == (record,)


def test_the_columns_tell_the_cell_and_the_request(tmp_path) -> None:
    results = save_study(tmp_path / "study", save_card(tmp_path / "data"))
    frame = icl_gap.load_results(tmp_path / "study")
    assert len(frame) == sum(info.n_queries for info in results.infos)
    row = frame.iloc[0]
    info, record = results.infos[0], results[0].records[0]
    for name in ("model", "dataset", "split", "query_split", "condition", "shots", "seed"):
        assert row[name] == getattr(info, name)
    assert (row.cell, row.query_id) == (info.key, record.query_id)
    assert row.shots_effective == record.shots
    assert list(row.exemplar_ids) == list(record.exemplar_ids)
    hits = {
        condition: [
            r.scores.get("raw") for c in results if c.info.condition == condition for r in c.records
        ]
        for condition in ("id", "ood")
    }
    by_hand = {condition: sum(map(bool, each)) for condition, each in hits.items()}
    assert frame.groupby("condition", observed=True).raw.sum().to_dict() == by_hand


def test_what_is_not_known_is_missing() -> None:
    record = Record("q", (), 3, 1.0, "0", None, "skipped")
    (row,) = frame_of([CellResult(INFO, (record,))]).itertuples()
    for name in ("n_params", "partial", "prompt_tokens", "raw", "prediction", "gold_logprob"):
        assert pd.isna(getattr(row, name)), name


def test_any_rows_of_a_frame_can_be_analyzed(tmp_path) -> None:
    save_study(tmp_path / "study", save_card(tmp_path / "data"))
    frame = icl_gap.load_results(tmp_path / "study")
    whole = icl_gap.analyze(frame, resamples=100)
    model = frame.model.unique()[0]
    part = frame[frame.model == model].sample(frac=1, random_state=0)
    expected = [point.a_id for point in whole.points if point.model == model]
    assert [point.a_id for point in icl_gap.analyze(part, resamples=100).points] == expected


def test_fields_that_statistics_need_suffice(tmp_path) -> None:
    results = save_study(tmp_path / "study", save_card(tmp_path / "data"))
    assert icl_gap.analyze(results.frame(OUTCOMES), resamples=100) == icl_gap.analyze(
        results.frame(), resamples=100
    )


def test_a_frame_of_something_else_is_refused() -> None:
    with pytest.raises(icl_gap.errors.InputError, match="no column `model`"):
        icl_gap.analyze(pd.DataFrame({"x": [1]}))
