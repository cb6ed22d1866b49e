"""The file itself: alone, the same each time, and written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from analysis.synthetic import analyze
from studies import save_card, save_study

from icl_gap.errors import InputError
from icl_gap.report import write_report
from icl_gap.report.figures import embed_svg


@pytest.fixture
def made(tmp_path) -> str:
    results = save_study(tmp_path / "s", save_card(tmp_path / "data"))
    write_report(results, analyze(results, resamples=200), tmp_path / "new" / "report.html")
    return (tmp_path / "new" / "report.html").read_text(encoding="utf-8")


def test_it_names_nothing_outside_itself(made) -> None:
    assert "default-src 'none'" in made
    outside = re.findall(r"""(?:src|href|action|poster)\s*=\s*["']([^"'#][^"']*)""", made)
    assert outside == []
    assert not re.search(r"@import|url\((?!#)", made)


def test_its_policy_allows_its_own_script_alone(made) -> None:
    (allowed,) = re.findall(r"script-src '([^']+)'", made)
    (script,) = re.findall(r"<script>(.*?)</script>", made, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert allowed == f"sha256-{digest}"
    assert "innerHTML" not in script


def test_ids_are_unique_and_drawings_keep_their_own(made) -> None:
    ids = Counter(re.findall(r'\sid="([^"]+)"', made))
    assert [name for name, n in ids.items() if n > 1] == []
    named = re.findall(r'(?:url\(#|href="#)([^")]+)', made)
    assert set(named) <= set(ids)


def test_the_same_results_give_the_same_page(made, tmp_path) -> None:
    results = save_study(tmp_path / "again" / "s", save_card(tmp_path / "other"))
    analysis = analyze(results, resamples=200)
    paths = [tmp_path / name for name in ("a.html", "b.html")]
    for path in paths:
        write_report(results, analysis, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert made


def test_words_tables_figures_and_provenance_need_no_script(made) -> None:
    for shown in (
        "No line is drawn",
        "toy/plain",
        "<svg",
        "2026-01-01",
        "git commit",
        "data/toy.yaml",
    ):
        assert shown in made.partition('<div id="blocks"')[0]


def test_a_file_that_cannot_be_written_is_the_users_to_mend(tmp_path) -> None:
    results = save_study(tmp_path / "s", save_card(tmp_path / "data"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the report"):
        write_report(results, analyze(results, resamples=200), tmp_path / "file" / "report.html")


def test_what_is_no_regular_file_is_not_written_through_nor_replaced(tmp_path) -> None:
    results = save_study(tmp_path / "s", save_card(tmp_path / "data"))
    analysis = analyze(results, resamples=200)
    (tmp_path / "victim").write_text("precious")
    path = tmp_path / "report.html"
    path.symlink_to(tmp_path / "victim")
    for make in (lambda: None, lambda: os.mkfifo(path)):
        make()
        with pytest.raises(InputError, match="must be a regular file"):
            write_report(results, analysis, path)
        assert not path.is_file() or path.is_symlink()
        path.unlink()
    assert (tmp_path / "victim").read_text() == "precious"
    (tmp_path / "report.html.part").symlink_to(tmp_path / "victim")
    write_report(results, analysis, path)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_drawing_gets_a_name() -> None:
    text = '<svg a="b"><g id="x"/><use href="#x" clip-path="url(#y)"/></svg>'
    assert embed_svg(text, 'a "title"') == (
        '<svg role="img" aria-label="a &#34;title&#34;. The table of gaps gives the numbers." '
        'fill="currentColor"  a="b"><g id="x"/><use href="#x" clip-path="url(#y)"/></svg>'
    )


def test_no_two_drawings_share_an_id(made) -> None:
    figures = re.findall(r"<svg.*?</svg>", made, re.DOTALL)
    ids = [each for figure in figures for each in re.findall(r'\sid="([^"]*)"', figure)]
    assert len(figures) > 1
    assert len(ids) == len(set(ids))


def test_torch_stays_out() -> None:
    heavy = ("torch", "transformers")
    code = f"import sys, icl_gap.report\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
