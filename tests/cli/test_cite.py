"""`icl-gap cite` and `icl-gap analyze --latex`: what goes into a paper."""

from __future__ import annotations

import re

from latex import check_latex

import icl_gap


def test_a_paper_gets_methods_bibtex_and_a_table(cli, sweep, tmp_path) -> None:
    out = tmp_path / "out"
    assert cli("run", sweep, "--out", out).code == 0
    cited = cli("cite", out)
    assert cited.code == 0
    found = icl_gap.cite(out)
    methods, _, bibtex = cited.out.partition("\n\n")
    assert " ".join(methods.split()) == found.methods
    assert bibtex.strip() == found.bibtex
    assert max(map(len, methods.splitlines())) <= 88
    assert cited.err.splitlines() == [f"note: {note}" for note in found.notes]
    check_latex(cited.out)
    table = cli("analyze", out, "--latex")
    assert table.code == 0
    check_latex(table.out)
    assert len(re.findall(r"\\begin\{table\}", table.out)) == 1
    assert "toy/plain" in table.out


def test_no_results_are_said_to_be_none(cli, tmp_path) -> None:
    ended = cli("cite", tmp_path)
    assert ended.code != 0
    assert "no results here" in ended.err
