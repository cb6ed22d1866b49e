"""Recipes: what can be asked of a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from icl_gap.errors import InputError
from icl_gap.plots import CurveRecipe, HeatmapRecipe, read_recipe, shipped_recipes
from icl_gap.specs import shipped

MINIMAL = "name: f\nx: n_params\ny: gap\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(shipped("plots").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_reads_and_is_named_after_its_file(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert Path(recipe.style).is_file()


def test_every_figure_of_the_study_has_a_recipe() -> None:
    assert [recipe.name for recipe in shipped_recipes()] == [
        "accuracy_vs_scale",
        "accuracy_vs_shots",
        "cells",
        "gap_vs_compute",
        "gap_vs_ood",
        "gap_vs_scale",
        "gap_vs_shots",
        "ood_vs_id",
        "smooth_gap_vs_scale",
    ]


@pytest.mark.parametrize(("axis", "allowed"), [("x", "'n_params'"), ("y", "'gap', 'smooth'")])
def test_an_axis_that_is_none_is_refused_with_those_that_are(
    tmp_path: Path, axis: str, allowed: str
) -> None:
    text = MINIMAL.replace(f"{axis}: ", f"{axis}: no")
    with pytest.raises(InputError, match="not one of the possible values") as error:
        read_recipe(written(tmp_path, text))
    assert allowed in str(error.value)


def test_a_shipped_recipe_is_found_by_its_name(tmp_path: Path) -> None:
    assert read_recipe(tmp_path / "plots" / "gap_vs_scale.yaml").name == "gap_vs_scale"
    assert read_recipe(Path("accuracy_vs_shots")).name == "accuracy_vs_shots"


def test_a_recipe_that_is_nowhere_is_refused_with_the_shipped_ones() -> None:
    with pytest.raises(InputError) as error:
        read_recipe(Path("nowhere.yaml"))
    assert "accuracy_vs_shots, cells, gap_vs_compute, gap_vs_ood, gap_vs_scale" in str(error.value)
    assert "nowhere.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("colour: red", ["unknown key", "line 4, colour", "allowed: name, y, query_split"]),
        ("panels: [family, family]", ["names the same thing twice"]),
        ("query_split: all", ["`query_split: all` is for `kind: heatmap` only"]),
        ("panels: [dataset, planet]", ["panels[1]", "'dataset', 'shots' or 'family'"]),
        ("panels: []", ["panels"]),
        ("formats: [gif]", ["formats[0]", "'png', 'pdf' or 'svg'"]),
        ("panel_size: [0.1, 2]", ["panel_size[0]", "0.1"]),
        ("query_split: both", ["query_split", "'train', 'test', 'pooled', 'any' or 'all'"]),
        ("style: missing.mplstyle", ["no such style file", "style", "icl_gap.mplstyle"]),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_is_allowed(
    tmp_path: Path, line: str, parts: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        read_recipe(written(tmp_path, f"{MINIMAL}{line}\n"))
    for part in [*parts, "recipe.yaml"]:
        assert part in str(error.value)


def test_shots_cannot_be_axis_and_panels(tmp_path: Path) -> None:
    text = "name: f\nx: shots\ny: gap\npanels: [dataset, shots]\n"
    with pytest.raises(InputError, match="cannot be both the x axis and the panels"):
        read_recipe(written(tmp_path, text))


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrong type or value"):
        read_recipe(written(tmp_path, "name: ../f\nx: shots\ny: gap\n"))


def test_a_style_beside_the_recipe_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "icl_gap.mplstyle"
    own.write_text("font.size: 9\n", encoding="utf-8")
    assert read_recipe(written(tmp_path, MINIMAL)).style == str(own)


def test_a_recipe_can_be_made_in_python() -> None:
    recipe = CurveRecipe(name="f", x="shots", y="accuracy")
    assert (recipe.panels, recipe.query_split) == (("dataset",), "pooled")


def test_a_heat_map_is_a_kind_of_its_own_with_its_own_keys(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, "name: f\nkind: heatmap\ny: gap\nquery_split: all\n"))
    assert isinstance(recipe, HeatmapRecipe)
    for line, key in (("x: shots", "x"), ("panels: [family]", "panels")):
        text = f"name: f\nkind: heatmap\ny: gap\n{line}\n"
        with pytest.raises(InputError, match="unknown key") as error:
            read_recipe(written(tmp_path, text))
        assert (error.value.place.line, error.value.place.key) == (4, key)


@pytest.mark.parametrize("kind", ["pie", "[heatmap]", "2"])
def test_a_kind_that_is_none_is_refused_with_those_that_are(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="not one of the possible values") as error:
        read_recipe(written(tmp_path, f"{MINIMAL}kind: {kind}\n"))
    assert "allowed: curve, heatmap" in str(error.value)
    assert (error.value.place.line, error.value.place.key) == (4, "kind")


def test_the_old_name_of_a_heat_map_is_answered_with_the_new_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`x: cells` is now `kind: heatmap`") as error:
        read_recipe(written(tmp_path, "name: f\nx: cells\ny: gap\n"))
    assert (error.value.place.line, error.value.place.key) == (2, "x")


def test_a_recipe_may_be_given_as_keys_and_values(tmp_path: Path) -> None:
    fields = {"name": "r", "x": "shots", "y": "gap", "panels": ["dataset"]}
    found = read_recipe(fields)
    assert found == read_recipe(written(tmp_path, "name: r\nx: shots\ny: gap\npanels: [dataset]\n"))
    assert read_recipe(found) is found
    assert isinstance(read_recipe({"name": "r", "kind": "heatmap", "y": "gap"}), HeatmapRecipe)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": "gapp"}, "y: not one of the possible values; did you mean `gap`"),
        ({"kind": "pie"}, "kind: not one of the possible values"),
        ({"style": "none.mplstyle"}, "style: there is no such style file"),
        ({"colour": "red"}, "colour: unknown key"),
    ],
)
def test_keys_and_values_have_the_faults_of_a_file(change: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe({"name": "r", "x": "shots", "y": "gap"} | change)
    assert str(caught.value).startswith(said)
