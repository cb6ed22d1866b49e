"""What README.md and the page of sweeps show is so."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from quickstart_table import quickstart_block
from readme_tables import ROOT, TABLES, marked

import icl_gap
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.models import expand
from icl_gap.specs import check_spec, shipped

README = (ROOT / "README.md").read_text(encoding="utf-8")
SWEEPS = (ROOT / "sweeps" / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path for path in ROOT.glob("*/README.md") if not path.parent.name.startswith("."))
PAGES += [ROOT / "README.md", *sorted((ROOT / "icl_gap").glob("*/README.md"))]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_it_is_short() -> None:
    assert len(README.split()) <= 900


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, tables in TABLES.items() for name in tables]
)
def test_tables_of_keys_are_those_of_the_specs(page: str, name: str) -> None:
    """`PYTHONPATH=.:tests python tests/readme_tables.py` writes them anew."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert marked(name).findall(text) == [TABLES[page][name]()]


def test_the_sweep_of_ten_lines_is_one() -> None:
    (sweep,) = blocks(README, "yaml")
    assert check_spec(yaml.safe_load(sweep), SweepSpec).name == "opt-on-scan"
    assert len(sweep.splitlines()) == 10


def test_the_models_are_some() -> None:
    counts = []
    for models in blocks(SWEEPS, "yaml"):
        fields = {"name": "s", "datasets": ["scan"], **yaml.safe_load(models)}
        counts.append(len(check_spec(fields, SweepSpec).models))
    assert counts == [6, 1, 2]


def test_every_shipped_sweep_and_selection_is_listed() -> None:
    listed = set(re.findall(r"^\| \[`(\w+)\.yaml`\]", SWEEPS, re.MULTILINE))
    assert listed == {path.stem for path in shipped("sweeps").glob("*.yaml")}
    section = SWEEPS.partition("### Exemplars")[2].partition("## ")[0]
    selections = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) - {"selection"}
    assert selections == set(SweepSpec.model_json_schema()["properties"]["selection"]["enum"])


def test_the_python_runs_as_shown(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    quick = read_sweep(shipped("sweeps") / "quickstart.yaml")
    first = expand(quick.models[0])[:1]
    small = quick.model_copy(update={"models": first, "limit": 10, "seeds": (0,)})
    icl_gap.run_sweep(small)
    (scorer,), (study, *_) = blocks(README, "python"), blocks(SWEEPS, "python")
    exec(scorer, {})  # noqa: S102 (the page's own code)
    exec(study, {})  # noqa: S102
    shown = capsys.readouterr().out
    assert f"{first[0].model} 10 pooled" in shown
    assert "condition" in shown
    assert (tmp_path / "figures" / "accuracy_vs_shots.png").exists()


def test_the_walk_through_runs_as_shown(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.subplots", without_a_window)
    _, *cells = blocks(SWEEPS, "python")
    assert len(cells) == 5
    shown: dict[str, object] = {}
    for code in cells:
        exec(code, shown)  # noqa: S102 (the page's own code)
    for name in ("plan", "results", "analysis", "diagnosis", "divided"):
        assert repr(shown[name]).startswith("<")
    assert {path.name for path in tmp_path.iterdir()} == {
        "results", "own.png", "figures", "report.html", "splits",
    }  # fmt: skip
    assert (tmp_path / "figures" / "heat.svg").exists()
    assert "unresolved_because" in capsys.readouterr().out


def without_a_window() -> tuple[object, object]:
    """Make a figure that needs no display, in place of `pyplot.subplots`."""
    from matplotlib.figure import Figure

    figure = Figure()
    return figure, figure.subplots()


def test_the_scorer_answers_as_shown() -> None:
    call, shown = re.search(r"(icl_gap\.exact_match\(.*?\))\n# (.*)", README).groups()
    assert repr(eval(call, {"icl_gap": icl_gap})) == shown  # noqa: S307


def test_the_commands_exist() -> None:
    from typer.main import get_command

    from icl_gap.cli import app

    known = get_command(app).commands
    assert set(re.findall(r"icl-gap (\w+)", README)) == set(known)
    makefile = (ROOT / "Makefile").read_text()
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"icl-gap (\w+)", text)) <= set(known), path
        for target in set(re.findall(r"`?make ([a-z-]+)`", text)):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (path, target)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_linked_is_there(path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http|#)([^)#]+)[^)]*\)", text):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_can_be_read(path) -> None:
    """The pages' own tests run them; here none may be of a kind that no test reads.

    A block of text is what a program prints.
    """
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"^```(\w+)", text, re.MULTILINE)) <= {"python", "sh", "yaml", "text"}
    for code in blocks(text, "python"):
        compile(code, str(path), "exec")
    for document in blocks(text, "yaml"):
        assert isinstance(yaml.safe_load(document), dict)
    for script in blocks(text, "sh"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_pages_of_languages_and_of_diagnosis_run(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    quick = read_sweep(shipped("sweeps") / "quickstart.yaml")
    one = tuple(e for e in expand(quick.models[0]) if e.model == "nano-codegen-xs")
    changes = {"models": one, "limit": 10, "seeds": (0,), "figures": ()}
    icl_gap.run_sweep(quick.model_copy(update=changes))
    for page in ("programs", "diagnosis"):
        (code,) = blocks((ROOT / "icl_gap" / page / "README.md").read_text("utf-8"), "python")
        exec(code, {})  # noqa: S102 (the page's own code)
    shown = capsys.readouterr().out
    assert "variable names" in shown
    assert "Diagnosis" in shown


@pytest.mark.slow
def test_figure_table_and_answer_are_those_of_the_quickstart(tmp_path, monkeypatch) -> None:
    """`PYTHONPATH=.:tests python tests/quickstart_table.py results/quickstart` writes the text."""
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(shipped("sweeps") / "quickstart.yaml")
    results = icl_gap.run_sweep(sweep)
    block = quickstart_block(icl_gap.analyze(results.frame()))
    assert marked("quickstart").findall(README) == [block]
    svg, *_ = (
        path
        for path in icl_gap.plot(results.frame(), icl_gap.read_recipe(sweep.figures[0]), tmp_path)
        if path.suffix == ".svg"
    )
    assert svg.read_bytes() == (shipped("plots") / "quickstart.svg").read_bytes()
