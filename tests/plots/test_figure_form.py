"""Forms of a figure, for screens and for paper, and the texts in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from plots.test_shipped import RECIPES, STUDY, drawn

from icl_gap.plots import draw_svg, plot
from icl_gap.plots.figure_form import FALLBACK_FONTS, WEB_SCALE, enlarge
from icl_gap.plots.typesetting import add_subscripts, plain_formulas, typeset, wrapped

MINUS = "\N{MINUS SIGN}"


def test_the_print_form_has_its_caption_in_a_file(tmp_path: Path) -> None:
    recipe = RECIPES["gap_vs_shots"].model_copy(update={"formats": ("svg",)})
    web = plot(STUDY, recipe, tmp_path)
    paper = plot(STUDY, recipe, tmp_path, form="print")
    assert [path.name for path in web] == ["gap_vs_shots.svg", "gap_vs_shots.csv"]
    assert [path.name for path in paper] == [
        "gap_vs_shots-print.svg",
        "gap_vs_shots-print.txt",
        "gap_vs_shots.csv",
    ]
    caption = paper[1].read_text(encoding="utf-8")
    assert caption.startswith(f"relative gap = (A_id {MINUS} A_ood) / A_id; test and train queries")
    assert caption.endswith("too near 0 to divide by.\n")
    assert "bars: 95%" in web[0].read_text(encoding="utf-8")
    assert "bars: 95%" not in paper[0].read_text(encoding="utf-8")


def test_the_web_form_is_enlarged_and_has_fonts_that_browsers_know(tmp_path: Path) -> None:
    text = draw_svg(STUDY, RECIPES["gap_vs_scale"])
    root = text[: text.index(">")]
    (width,) = re.findall(r' width="([\d.]+)pt"', root)
    (box,) = re.findall(r'viewBox="0 0 ([\d.]+) ', root)
    assert float(width) == pytest.approx(WEB_SCALE * float(box), abs=1e-5)
    fonts = set(re.findall(r"font-family: ([^;\"]*)", text))
    assert fonts == {f"'DejaVu Sans', {FALLBACK_FONTS}"}
    recipe = RECIPES["gap_vs_scale"].model_copy(update={"formats": ("svg",)})
    paper = plot(STUDY, recipe, tmp_path, form="print")[0].read_text(encoding="utf-8")
    assert ' width="237.6pt"' in paper  # 3.3 inches


def test_accuracies_have_subscripts_in_every_form() -> None:
    text = draw_svg(STUDY, RECIPES["gap_vs_scale"])
    assert '<tspan font-style="italic">A</tspan><tspan dy="0.3em" font-size="70%">ood</' in text
    assert "A_" not in re.sub(r"<title>.*?</title>", "", text, flags=re.DOTALL)
    (title,) = [legend.get_title() for legend in drawn("gap_vs_scale").legends]
    assert r"$A_\mathrm{id}$" in title.get_text()
    assert title.get_parse_math()


def test_only_the_size_and_the_fonts_of_an_enlarged_drawing_change() -> None:
    svg = (
        '<?xml?><svg width="10pt" height="20pt" viewBox="0 0 10 20"><rect width="5pt"/>'
        "<text style=\"font: 8px 'Own Font'; fill: red\">font: 'x'</text></svg>"
    )
    assert enlarge(svg) == (
        '<?xml?><svg width="13.500000pt" height="27.000000pt" viewBox="0 0 10 20">'
        '<rect width="5pt"/><text style="font: 8px \'Own Font\', Verdana, sans-serif; fill: red">'
        "font: 'x'</text></svg>"
    )


def test_names_are_not_formulas_beside_one() -> None:
    figure = Figure()
    name = r"A_id of $m$ \\alpha A_ideal"
    text = figure.text(0, 0, name)
    typeset(text)
    assert text.get_text() == r"$A_\mathrm{id}$ of \$m\$ \\alpha A_ideal"
    figure.draw_without_rendering()
    with plain_formulas(figure):
        assert (text.get_text(), text.get_parse_math()) == (name, False)
    assert text.get_parse_math()


def test_subscripts_are_added_to_texts_alone() -> None:
    svg = "<title>A_id</title><text>A_id < DATA_id</text>".replace(" < ", " &lt; ")
    found = add_subscripts(svg)
    assert found.startswith("<title>A_id</title><text><tspan")
    assert found.endswith("&lt; DATA_id</text>")


def test_text_is_wrapped_by_the_size_of_its_font() -> None:
    words = "exemplars from the query's own split or from the other; test and train queries " * 3
    lines = [wrapped(words, 3.0, size).count("\n") for size in (6, 8, 12)]
    assert lines == sorted(set(lines))
    figure = Figure(figsize=(3, 3), dpi=300)
    drawn_text = figure.text(0, 0, wrapped(words, 3.0, 8), fontsize=8)
    assert isinstance(drawn_text, Text)
    assert drawn_text.get_window_extent().width / 300 <= 3.2
