"""`icl-gap analyze --bayes`, on a few queries and with few draws."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from studies import Asked, save_card, save_study

import icl_gap
from icl_gap.analysis.bayes import hierarchical
from icl_gap.analysis.bayes.mixed_model import Sampling

PAGE = Path(icl_gap.__file__).parent / "analysis" / "bayes" / "README.md"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A family of three sizes, right on two of three queries ID and on one of three OOD."""

    def answers(asked: Asked) -> dict[str, object]:
        right = (asked.n + len(asked.model)) % 3 < (2 if asked.condition == "id" else 1)
        scores = {"raw": right, "canonical": right}
        return {"scores": scores, "prediction": asked.gold if right else "no"}

    monkeypatch.setattr(hierarchical, "Sampling", lambda: Sampling(chains=2, warmup=60, draws=60))
    folder = tmp_path / "results" / "quickstart"
    models = ("small", "middle", "large")
    save_study(folder, save_card(tmp_path / "data"), answers, models=models, limit=12)
    return folder


def test_a_table_and_json_hold_the_check(cli, results: Path) -> None:
    shown = cli("analyze", results, "--bayes")
    assert shown.code == 0, shown.err
    assert "hierarchical check (mixed model), 95% intervals" in shown.out
    assert "note: hierarchical check not trusted: too few effective draws" in shown.out
    found = json.loads(cli("analyze", results, "--bayes", "--json").out)
    fits = found["hierarchical"]["fits"]
    assert [(fit["query_split"], fit["shots"]) for fit in fits] == [("test", 2), ("train", 2)]
    assert found["points"]


def test_without_the_option_there_is_no_check(cli, results: Path) -> None:
    assert "hierarchical" not in cli("analyze", results).out
    assert "hierarchical" not in json.loads(cli("analyze", results, "--json").out)


def test_the_extra_is_named_where_it_is_missing(cli, results: Path, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.analysis.bayes.mixed_model.find_spec", lambda _: None)
    ended = cli("analyze", results, "--bayes")
    assert ended.code == 2
    assert "numpyro and arviz not installed" in ended.err
    assert "pip install 'icl-gap[bayes]'" in ended.err


def test_the_code_of_its_page_runs(results: Path, monkeypatch, capsys) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(results.parents[1])
    exec(code, {})  # noqa: S102 (the page's own code)
    assert "toy/plain" in capsys.readouterr().out
