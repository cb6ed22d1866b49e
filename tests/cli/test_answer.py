"""The answer in the terminal: short, within 80 columns, and never broken inside a number."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from analysis.synthetic import Model, analyze, sweep

from icl_gap.analysis import Analysis
from icl_gap.cli.answer import MOST_LINES, WIDTH, answer_lines, show_answer, write_csv
from icl_gap.cli.results import read_count
from icl_gap.errors import InputError
from icl_gap.results import Results

NAMES = ("opt", "bloom", "codegen", "pythia", "a-family-with-quite-a-long-name", "qwen2.5-coder")


def study(families: int, step: float = 0.04) -> Analysis:
    """Six sizes of several families."""
    models: list[Model] = [
        (f"{family}-{n}", family, 10**8 * 4**n, True)
        for family in NAMES[:families]
        for n in range(6)
    ]

    def chance(model: str, _: int, condition: str) -> float:
        return 0.8 if condition == "id" else 0.4 + step * int(model.rpartition("-")[2])

    return analyze(sweep(models, chance, queries=100, seeds=2), resamples=200)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """An opened folder without cells."""
    return Results(tmp_path_factory.mktemp("results"), (), {}, (), ())


@pytest.fixture(scope="module", params=[1, 2, 6])
def analysis(request: pytest.FixtureRequest) -> Analysis:
    """The analyses of one, two and six cases."""
    return study(request.param)


FILES = ("figures: results/x/figures/gap_vs_scale.png (also pdf, svg, csv)", "records: results/x")


def test_it_has_twelve_lines_of_eighty_columns_at_most(
    analysis: Analysis, results: Results
) -> None:
    lines = answer_lines(results, analysis, files=FILES, verbose=False)
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= WIDTH for line in lines if not line.startswith(("figures", "all")))
    assert lines[0] == "Does scale close the compositional generalization gap?"
    assert lines[-2:] == list(FILES)


def test_no_number_is_broken(analysis: Analysis, results: Results) -> None:
    lines = answer_lines(results, analysis, files=FILES, verbose=False)
    for line in lines:
        assert not re.search(r"[\u2212+.]$", line.removesuffix("."))
        assert not re.match(r"\s*\.\d", line)


def test_cases_that_find_no_room_are_counted(results: Results) -> None:
    lines = answer_lines(results, study(6), files=FILES, verbose=False)
    shown = sum(" on scan/mcd1: " in line for line in lines)
    left = next((line for line in lines if " more, with -v" in line), "  and 0 more, with -v")
    assert shown + int(left.split()[1]) == 6


def test_the_table_before_it_has_a_row_for_each_model(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_answer(results, study(1))
    shown = capsys.readouterr().out
    assert all(shown.count(f"opt-{n} ") == 1 for n in range(6))
    assert "against scale" not in shown
    show_answer(results, study(1), verbose=True)
    assert "fit of the gap against scale" in capsys.readouterr().out


def test_everything_is_written_as_csv(tmp_path: Path) -> None:
    analysis = study(1)
    write_csv(analysis, tmp_path / "tables")
    assert {path.stem for path in (tmp_path / "tables").iterdir()} >= {"points", "fits", "common"}
    with (tmp_path / "tables" / "fits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == [fit.verdict for fit in analysis.fits]
    assert float(rows[0]["between_model_sd.value"]) == analysis.fits[0].between_model_sd.value


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the tables"):
        write_csv(study(1), tmp_path / "file" / "tables")


@pytest.mark.parametrize(
    ("text", "count"), [("70b", 70e9), ("350M", 350e6), ("1e21", 1e21), ("2T", 2e12), (" 5k ", 5e3)]
)
def test_sizes_are_read_as_people_write_them(text: str, count: float) -> None:
    assert read_count(text) == count


@pytest.mark.parametrize("text", ["", "b", "-1b", "0", "nan", "inf", "big"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a size"):
        read_count(text)


def test_a_run_of_the_command_ends_with_the_answer(cli: Any, sweep: Path, tmp_path: Path) -> None:
    outcome = cli("run", sweep, "--out", tmp_path / "results")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    start = lines.index("Does scale close the compositional generalization gap?")
    assert len(lines) - start <= MOST_LINES
    assert lines[-1].startswith("records: ")
