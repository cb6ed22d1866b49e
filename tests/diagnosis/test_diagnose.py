from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pytest
from studies import Asked, save_card, save_study

from icl_gap.diagnosis import COLUMNS, MEASURES, Diagnosis, RequestGroup, diagnose
from icl_gap.errors import AnalysisError, InputError
from icl_gap.results import Results

T = TypeVar("T")


def half_right(asked: Asked) -> dict[str, Any]:
    """All right ID; OOD every second query has a word too many."""
    wrong = asked.condition == "ood" and asked.n % 2
    said = f" {asked.gold}" + (" X" if wrong else "")
    return {"scores": {"raw": not wrong, "canonical": not wrong}, "prediction": said}


@pytest.fixture
def study(tmp_path) -> Results:
    return save_study(tmp_path / "s", save_card(tmp_path / "data"), half_right, shots=(1, 2))


def test_every_request_is_in_it(study) -> None:
    found = diagnose(study, resamples=20)
    place = RequestGroup("toy/plain", "test", 2)
    assert set(found.coverage) == {
        (RequestGroup("toy/plain", side, shots), condition)
        for side in ("test", "train")
        for shots in (1, 2)
        for condition in ("id", "ood")
    }
    assert found.explained["small", place].n == 6
    assert found.explained["small", place].gap.value == 0.5
    assert found.error_types["large", place, "ood"] == {"ran on": 3}
    assert ("large", place, "id") not in found.error_types
    assert found.notes == ()


def test_exemplars_of_the_own_side_cover_more(study) -> None:
    found = diagnose(study, resamples=20)
    place = RequestGroup("toy/plain", "test", 2)
    inside, outside = (found.coverage[place, condition] for condition in ("id", "ood"))
    assert inside["source_coverage"] > outside["source_coverage"]
    assert inside["structure_coverage"] > outside["structure_coverage"]
    # The sides of the toy have no verb in common.
    atoms_in, _ = found.divergences["toy/plain", "test", "id"]
    atoms_out, _ = found.divergences["toy/plain", "test", "ood"]
    assert atoms_in < 0.3 < atoms_out


def test_each_request_can_be_had_as_a_row(study, tmp_path) -> None:
    path = tmp_path / "requests.csv"
    found = diagnose(study, resamples=20, csv=path)
    rows = pd.read_csv(path)
    assert tuple(rows.columns) == COLUMNS
    assert len(rows) == sum(len(cell.records) for cell in study)
    means = rows.groupby(["benchmark", "query_split", "shots", "condition"])[list(MEASURES)].mean()
    for (at, condition), told in found.coverage.items():
        assert means.loc[(*at, condition)].to_dict() == pytest.approx(told)
    wrong = rows[(rows.model == "large") & (rows.query_split == "test") & (rows.shots == 2)]
    assert wrong.outcome.value_counts().to_dict() == {"right": 9, "ran on": 3}
    with pytest.raises(InputError, match="cannot write"):
        diagnose(study, resamples=20, csv=tmp_path / "no" / "folder.csv")


def test_rows_are_written_whole_or_not_at_all_and_to_regular_files_alone(study, tmp_path) -> None:
    path = tmp_path / "requests.csv"
    path.write_text("as it was")

    def progress(items: Iterable[T], description: str, total: int) -> Iterator[T]:
        del total
        yield from items
        if description == "measuring":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        diagnose(study, resamples=20, csv=path, progress=progress)
    assert path.read_text() == "as it was"
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    with pytest.raises(InputError, match="must be a regular file"):
        diagnose(study, resamples=20, csv=link)
    assert path.read_text() == "as it was"


def test_the_metric_chooses_what_is_right(tmp_path) -> None:
    def spaced(asked: Asked) -> dict[str, Any]:
        return {"scores": {"raw": False, "canonical": True}, "prediction": f" {asked.gold}  "}

    study = save_study(tmp_path / "s", save_card(tmp_path / "data"), spaced)
    assert (
        sum(sum(counts.values()) for counts in diagnose(study, resamples=20).error_types.values())
        > 0
    )
    assert diagnose(study, metric="canonical", resamples=20).error_types == {}
    with pytest.raises(AnalysisError, match="no execution score"):
        diagnose(study, metric="execution")


def test_all_of_it_is_json(study) -> None:
    told = json.loads(json.dumps(diagnose(study, resamples=20).to_json()))
    assert {row["condition"] for row in told["coverage"]} == {"id", "ood"}
    assert len(told["explained"]) == 2 * 2 * 2
    assert told["error_types"][0]["counts"] == {"ran on": 3}


def test_the_experiment_stands_beside_the_regression(tmp_path) -> None:
    """Digits alone can be covered from the other side, so no query of the toy is matched."""
    card = save_card(tmp_path / "data")
    study = save_study(
        tmp_path / "s", card, half_right, conditions=("id", "ood", "ood_matched"), models=["one"]
    )
    found = diagnose(study, resamples=40)
    assert {condition for _, condition in found.coverage} == {"id", "ood", "ood_matched"}
    assert [(each.n_matched, each.n_unmatched) for each in found.matched] == [(0, 6), (0, 6)]
    assert found.explained == diagnose_without(tmp_path / "t", card).explained
    told = json.loads(json.dumps(found.to_json()))
    assert [row["because"] for row in told["matched"]] == ["no request is matched"] * 2


def diagnose_without(folder: Path, card: str) -> Diagnosis:
    return diagnose(save_study(folder, card, half_right, models=["one"]), resamples=40)


def test_without_the_texts_it_says_what_to_do(study, tmp_path) -> None:
    for path in (tmp_path / "data" / "toy").iterdir():
        path.write_text("other\tTHINGS\n", encoding="utf-8")
    with pytest.raises(AnalysisError, match="Try again with the data of the run"):
        diagnose(study, resamples=20)
