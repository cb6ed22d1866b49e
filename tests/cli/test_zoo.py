"""`icl-gap models`, and the options that say what gaps are fitted against."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from studies import save_study

from icl_gap.models.zoo import members, zoo


def test_all_families_are_listed_with_their_sizes(cli) -> None:
    outcome = cli("models")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    for family in zoo():
        for each in members(family):
            (line,) = (row.split() for row in lines if each.listed_name in row.split())
            assert line[:3] == [family, each.size, each.listed_name]
            assert each.size_source in line
            assert line[-len(each.licence.split()) :] == each.licence.split()


def test_one_family_is_shown_in_full(cli) -> None:
    outcome = cli("models", "opt")
    assert outcome.code == 0
    assert "licence: OPT licence" in outcome.out
    assert "6,658,473,984" in outcome.out
    assert "6,444,163,072" in outcome.out
    assert "180,000,000,000" in outcome.out
    assert "bloom" not in outcome.out


def test_what_a_family_is_tuned_for_is_said(cli) -> None:
    assert "tuned to chat, and to think first" in cli("models", "qwen-3-instruct").out
    instruct = cli("models", "llama-3-instruct").out
    assert "tuned to chat\n" in instruct
    assert "chat" not in cli("models", "qwen-3").out
    assert "training seeds: 1, 2, 3, 4, 5, 6, 7, 8, 9" in cli("models", "polypythias").out


def test_who_estimates_a_size_is_said(cli) -> None:
    outcome = cli("models", "codex")
    assert "estimated" in outcome.out
    assert "HELM" in outcome.out


def test_an_unknown_family_is_told_the_others(cli) -> None:
    outcome = cli("models", "opps")
    assert outcome.code == 2
    assert "opt, bloom, codegen-nl" in outcome.err


def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys\nsys.argv = ['icl-gap', 'models']\nfrom icl_gap.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("option", ["n_params_non_embedding", "training_flops"])
def test_what_gaps_are_fitted_against_is_an_option(cli, toy_card, tmp_path, option) -> None:
    out = tmp_path / "results"
    save_study(out, toy_card, models=("small", "middle", "large"))
    told = json.loads(cli("analyze", out, "--against", option, "--json").out)
    assert told["against"] == option
    known = option == "n_params_non_embedding"  # the models of this study say nothing of training
    assert {fit["against"] for fit in told["fits"]} == ({option} if known else set())
    shown = cli("analyze", out, "--against", option, "--estimated-sizes", "-v")
    assert ("against scale: parameters without embeddings" in shown.out) == known
    report = cli("report", out, "--against", option, "--out", tmp_path / "page.html")
    assert report.code == 0, report.err
    assert cli("plot", out, "--against", option, "--out", tmp_path / "figures").code == 0


def test_an_unknown_scale_is_told_the_others(cli, toy_card, tmp_path) -> None:
    save_study(tmp_path / "results", toy_card)
    outcome = cli("analyze", tmp_path / "results", "--against", "layers")
    assert outcome.code == 2
    assert "training_flops" in outcome.err
