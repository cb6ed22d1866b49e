"""Tables hold at every width: no line is too wide, and no word or number is folded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from toys import sweep

from icl_gap.cli.tables import lay_out
from icl_gap.evaluation.runner import evaluate_sweep

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (80, 100, 120)


def lines(rows: list[dict[str, str]], width: int, **options: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for table in lay_out(rows, width, **options):  # type: ignore[arg-type]
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=14)
cells = st.lists(words, max_size=5).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    keys = draw(st.lists(cells.filter(bool), min_size=1, max_size=12, unique=True))
    row = st.fixed_dictionaries(dict.fromkeys(keys, cells))
    return draw(st.lists(row, min_size=1, max_size=4))


@given(tables(), st.sampled_from(WIDTHS))
def test_no_line_is_too_wide_and_no_word_is_folded(rows: list[dict[str, str]], width: int) -> None:
    found = lines(rows, width)
    assert max(map(len, found)) <= width
    shown = {word for line in found for word in line.split()}
    for row in rows:
        for key, value in row.items():
            assert {*key.split(), *value.split()} <= shown


@given(tables())
def test_a_table_that_fits_is_in_one_block(rows: list[dict[str, str]]) -> None:
    assert len(lay_out(rows, 2_000)) == 1


def test_blocks_repeat_the_columns_that_tell_rows_apart() -> None:
    rows = [
        {"model": m, "shots": s, "a": "1" * 30, "b": "2" * 30, "c": "3" * 30}
        for m in ("one", "two")
        for s in ("1", "5")
    ]
    found = lines(rows, 80, left=("model",))
    headings = [line.split() for line in found if line.startswith("model")]
    assert headings == [["model", "shots", "a", "b"], ["model", "shots", "c"]]


def test_an_interval_stays_in_one_piece() -> None:
    rows = [{"model": "m" * 50, "gap": "0.50 [-0.12, 0.85]"}]
    found = lines(rows, 70)
    assert found[-1].strip() == "[-0.12, 0.85]" or "0.50 [-0.12, 0.85]" in found[-1]
    assert any("[-0.12, 0.85]" in line for line in lines(rows, 66))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["data list", "models", "plan", "diagnose", "analyze"])
def test_printed_tables_are_as_they_were_looked_at(
    command: str, width: int, cli, toy_card: str, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ICL_GAP_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    match command:
        case "plan":
            path = tmp_path / "s.yaml"
            path.write_text(f"name: s\ndatasets: [{toy_card}]\nmodels: [nearest]\nlimit: 20\n")
            outcome = cli("plan", path)
        case "diagnose" | "analyze":
            results = evaluate_sweep(sweep(toy_card, shots=[1, 5], limit=20), tmp_path / "out")
            options = ["-v"] if command == "analyze" else []
            outcome = cli(command, results.folder, *options)
        case _:
            outcome = cli(*command.split())
    assert outcome.code == 0
    shown = outcome.out.replace(str(tmp_path), "")
    assert max(len(line) for line in shown.splitlines()) <= width
    path = GOLDEN / f"{command.replace(' ', '_')}.{width}.txt"
    if not path.exists():  # removed, to be made anew
        path.write_text(shown, encoding="utf-8")
        pytest.fail(f"{path} is written: look at it")
    assert shown == path.read_text(encoding="utf-8")
