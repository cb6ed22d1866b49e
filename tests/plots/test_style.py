"""Styles: what they may set, and how faults in them are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icl_gap.errors import InputError
from icl_gap.plots import read_recipe
from icl_gap.plots.style import applied, read_style
from icl_gap.specs import shipped

SHIPPED = shipped("plots") / "icl_gap.mplstyle"


def written(folder: Path, text: str) -> Path:
    path = folder / "own.mplstyle"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_style_is_read_as_matplotlib_reads_it() -> None:
    import matplotlib as mpl

    read = read_style(SHIPPED)
    reference = mpl.rc_params_from_file(SHIPPED, use_default_template=False)
    assert read == dict(reference)
    assert len(read) > 30


def test_lines_are_cut_as_matplotlib_cuts_them(tmp_path) -> None:
    import matplotlib as mpl

    path = written(
        tmp_path,
        '# a: b\n\n  font.family : "DejaVu Sans" # c\nsvg.hashsalt: "a#b" # "c\n'
        "axes.prop_cycle: cycler('color', ['r', 'g']) + cycler(linestyle=['-', ':'])\r\n"
        "lines.linewidth:2\n",
    )
    reference = mpl.rc_params_from_file(path, use_default_template=False)
    assert read_style(path) == dict(reference)


@pytest.mark.parametrize(
    "line",
    [
        "text.usetex: True",
        "text.usetex: False",
        "text.latex.preamble: x",
        "pgf.preamble: x",
        "pgf.texsystem: xelatex",
        "backend: module://os",
        "savefig.directory: /",
        "savefig.format: pgf",
        "animation.ffmpeg_path: /bin/sh",
        "animation.writer: x",
        "webagg.port: 80",
        "path.effects: x",
        "figure.hooks: os:system",
        "svg.image_inline: False",
        "interactive: True",
        "toolbar: None",
    ],
)
def test_what_runs_loads_or_names_folders_is_refused(tmp_path, line) -> None:
    path = written(tmp_path, f"font.size: 8\n{line}\n")
    with pytest.raises(InputError, match="a style may not make this setting") as caught:
        read_style(path)
    key, _, value = line.partition(": ")
    place = caught.value.place
    assert (place.file, place.line, place.key) == (path, 2, key)
    assert caught.value.value == value
    assert "lines." in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("font.size: huge", "not a matplotlib style: .*huge"),
        ("font.size: 0", "out of range"),
        ("font.size: 1e9", "out of range"),
        ("figure.dpi: nan", "out of range"),
        ("figure.dpi: 0", "out of range"),
        ("savefig.dpi: 1e6", "out of range"),
        ("axes.titlesize: 5000", "out of range"),
        ("lines.linewidth: inf", "out of range"),
        ("xtick.minor.ndivs: 100000", "out of range"),
        ("lines.marker: nosuch", "cannot draw with this setting"),
        ("image.cmap: nosuch", "cannot draw with this setting"),
        ("grid.alpha: 7", "cannot draw with this setting"),
        ("axes.xmargin: -3", "not a matplotlib style|cannot draw with this setting"),
        ("text.parse_math: True", "names are not formulas"),
        ("axes.prop_cycle: cycler(linestyle=['-'])", "no colours in the cycle"),
        ("axes.prop_cycle: cycler('color', ['r'] * 10**9)", "not a cycle of colours"),
        ("axes.prop_cycle: 10**9 * cycler('color', ['r'])", "not a cycle of colours"),
        ("axes.prop_cycle: cycler('color', 'rgb').__class__", "not a cycle of colours"),
        ("axes.prop_cycle: __import__('os').system('x')", "not a cycle of colours"),
        ("axes.prop_cycle: cycler('color', ['nosuch'])", "not a matplotlib style"),
        ("lines.linewidth 2", "no colon in it"),
        ("font.size: 9", "stands twice, first on line 1"),
    ],
)
def test_a_value_that_cannot_be_drawn_with_is_told_with_its_place(tmp_path, line, problem) -> None:
    first = "font.size: 8" if "twice" in problem else "axes.grid: True"
    path = written(tmp_path, f"{first}\n{line}\n")
    with pytest.raises(InputError, match=problem) as caught:
        read_style(path)
    assert (caught.value.place.file, caught.value.place.line) == (path, 2)
    assert line.partition(":")[2].strip() in str(caught.value.value)


def test_a_recipe_with_a_bad_style_is_refused_when_it_is_read(tmp_path) -> None:
    style = written(tmp_path, "text.usetex: True\n")
    recipe = tmp_path / "own.yaml"
    recipe.write_text("{name: f, x: shots, y: gap, style: own.mplstyle}")
    with pytest.raises(InputError, match="may not make") as caught:
        read_recipe(recipe)
    assert caught.value.place.file == style


def test_names_are_no_formulas_under_any_style(tmp_path) -> None:
    import matplotlib as mpl

    with applied(written(tmp_path, "font.size: 8\n")):
        assert mpl.rcParams["text.parse_math"] is False
        assert mpl.rcParams["font.size"] == 8


KEYS = st.sampled_from(
    ["font.size", "axes.prop_cycle", "lines.marker", "legend.loc", "text.usetex"]
)


@settings(max_examples=30)
@given(st.lists(st.one_of(st.text(), st.builds("{}: {}".format, KEYS, st.text())), max_size=3))
def test_any_text_is_a_style_or_a_fault(tmp_path_factory, lines) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mplstyle"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    assert isinstance(outcome(path), dict | str)


def outcome(path: Path) -> dict[str, object] | str:
    try:
        return read_style(path)
    except InputError as error:
        return str(error)
