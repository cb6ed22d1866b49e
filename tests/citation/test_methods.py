"""The paragraph says what the results hold, and no more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from latex import check_latex
from studies import save_card, save_study
from toys import sweep

import icl_gap
from icl_gap.errors import AnalysisError, InputError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import Results
from icl_gap.specs import shipped
from icl_gap.text import escape_latex

ROOT = Path(__file__).parent.parent.parent
KNOWN = "Kim & Linzen 2020, COGS, arXiv 2010.05465"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("study")
    card = save_card(folder / "data", citation=KNOWN)
    study = save_study(
        folder / "s", card, models=["opt_a", "opt-b", "opt-c"], shots=(1, 5), seeds=(0, 1), limit=6
    )
    return changed(study, family="opt")


def changed(study: Results, **changes: object) -> Results:
    return replace(study, infos=tuple(replace(info, **changes) for info in study.infos))


def with_provenance(study: Results, **values: object) -> Results:
    infos = [replace(each, provenance={**each.provenance, **values}) for each in study.infos]
    return replace(study, infos=tuple(infos))


def test_the_numbers_are_those_of_the_results(results) -> None:
    text = icl_gap.cite(results).methods
    check_latex(text)
    prompts = "from the query's own side of the split (ID) or from the other side (OOD)"
    sides = "6 queries of the test side and 6 queries of the train side"
    for part in (
        r"The benchmark was toy (split plain)~\cite{kim2020}.",
        r"We tested 3 models of the family opt~\cite{zhang2022} (1M to 100M parameters).",
        f"A prompt held 1 or 5 exemplars {prompts}, under 2 random seeds.",
        f"We asked {sides}, the same ones under all conditions, 288 requests in all.",
        r"95\% percentile intervals of a paired bootstrap with 5,000 resamples",
        "raw exact match",
    ):
        assert part in text
    assert sum(info.n_queries for info in results.infos) == 288


def test_every_key_that_is_cited_has_an_entry_and_every_entry_is_cited(results) -> None:
    found = icl_gap.cite(results)
    cited = {
        key for keys in re.findall(r"\\cite\{(.*?)\}", found.methods) for key in keys.split(",")
    }
    assert cited == set(re.findall(r"^@\w+\{(.*),$", found.bibtex, re.MULTILINE))
    assert cited == {"icl-gap", "hosseini2022", "kim2020", "zhang2022"}
    assert found.notes == ()
    assert "author = {{The icl\\_gap authors}}" in found.bibtex


def test_a_real_run_names_its_software_selection_and_baseline(tmp_path) -> None:
    models = ["nearest", "nano-codegen-xxs", {"kind": "random_init"}]
    ran = evaluate_sweep(sweep("scan", models=models, selection="bm25"), tmp_path / "out")
    found = icl_gap.cite(ran, metric="canonical")
    packages = ran.infos[0].provenance["packages"]
    machine = escape_latex(ran.infos[0].provenance["machine"])
    for part in (
        f"icl\\_gap {packages['icl-gap']}~\\cite{{icl-gap}}",
        "chosen by BM25 between sources",
        "the baseline nearest, which answers with the target of the most similar exemplar",
        r"1 model of the family nano-codegen~\cite{icl-gap} (31.8K parameters)",
        "1 model with random weights of the family opt (",
        "canonical exact match",
        f"Models ran in float32 on cpu ({machine}) under Python ",
        f"torch {packages['torch']}",
    ):
        assert part in found.methods
    assert "bitsandbytes" not in found.methods
    assert r"scan (split mcd1)~\cite{lake2018,loula2018,keysers2020}" in found.methods
    assert found.notes == ()


def test_what_differs_between_cells_is_listed(results) -> None:
    first, *others = results.infos
    first = replace(first, n_queries=3, provenance={"packages": {"icl-gap": "0.0.9"}})
    found = icl_gap.cite(replace(results, infos=(*others, first)))
    assert "icl\\_gap 0.0.9" in found.methods
    chats = with_provenance(results, answer="last_line", api="chat")
    assert (
        "the rule for the answer in their responses was `last\\_line'"
        in icl_gap.cite(chats).methods
    )
    sampled = with_provenance(results, left_out=["temperature"])
    assert "Decoding was greedy." in icl_gap.cite(results).methods
    assert "greedy, apart from opt\\_a, opt-b and opt-c, whose" in icl_gap.cite(sampled).methods
    cfq = tuple(replace(info, dataset="cfq", n_queries=9) for info in results.infos)
    both = icl_gap.cite(replace(results, infos=(*results.infos, *cfq)))
    assert (
        "The benchmarks were toy (split plain)~\\cite{kim2020} and cfq (split plain)"
        in both.methods
    )
    assert "Queries were 6 of the test side of toy/plain, " in both.methods
    assert "keysers2020" in both.bibtex


def test_what_is_missing_is_said(results) -> None:
    infos = tuple(
        replace(info, n_params=None, family="mine", provenance={}) for info in results.infos
    )
    found = icl_gap.cite(replace(results, infos=infos, unfinished=("a", "b"), sweep={}))
    assert "opt\\_a, opt-b and opt-c, of unknown size" in found.methods
    assert "The results do not say which software was used." in found.methods
    assert found.notes == (
        "2 cells of the sweep are not finished, nor described",
        "no paper is known of the benchmark toy",
        "no paper is known of the models of the family mine",
    )


def test_what_cannot_be_described_is_refused(results) -> None:
    with pytest.raises(AnalysisError, match="no finished cells"):
        icl_gap.cite(replace(results, infos=()))
    with pytest.raises(InputError, match="unknown metric"):
        icl_gap.cite(results, metric="em")  # type: ignore[arg-type]


def test_the_citation_file_is_of_this_version() -> None:
    fields = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert fields["cff-version"] == "1.2.0"
    assert fields["authors"] == [{"name": "The icl_gap authors"}]
    project = (shipped("plots").parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{fields["version"]}"' in project
    assert f'license = "{fields["license"]}"' in project
    assert {"message", "title", "type"} <= fields.keys()
