"""Figure recipes: the YAML files that say what a figure shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticKnownError

from icl_gap.documents import read_yaml
from icl_gap.errors import InputError, Place
from icl_gap.plots.axes import X_AXES, Y_AXES
from icl_gap.plots.style import read_style
from icl_gap.specs import Spec, check_spec, read_spec, shipped
from icl_gap.text import brief


def _one_of(names: Iterable[str]) -> AfterValidator:
    """Allow the keys of a table, and report other values as pydantic does for a `Literal`."""
    *others, last = allowed = tuple(names)
    expected = f"{', '.join(map(repr, others))} or {last!r}"

    def check(value: str) -> str:
        if value not in allowed:
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    return AfterValidator(check)


XAxis = Annotated[str, _one_of(X_AXES), Field(json_schema_extra={"enum": list(X_AXES)})]
YAxis = Annotated[str, _one_of(Y_AXES), Field(json_schema_extra={"enum": list(Y_AXES)})]
QuerySplits = Literal["train", "test", "pooled", "any", "all"]
Facet = Literal["dataset", "shots", "family"]
Format = Literal["png", "pdf", "svg"]
Inches = Annotated[float, Field(gt=0.5, le=20)]


class _RecipeSpec(Spec):
    """The keys that recipes of every kind have."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Stem of the files written."""
    y: YAxis
    """Quantity on the y axis, or in the cells of a heat map."""
    query_split: QuerySplits = "pooled"
    """Side of the queries. `any` is `pooled` if both sides were run, else the one that was; `all`,
    for heat maps only, shows all three."""
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("png", "pdf", "svg")
    """File formats to write."""
    title: str | None = None
    """Title above the figure."""
    style: str = "icl_gap.mplstyle"
    """Style file, relative to the recipe, or a shipped one."""
    panel_size: tuple[Inches, Inches] = (2.3, 1.8)
    """Width and height of a panel in inches; for a heat map, the most that all cells may take.
    Panels take the width that a page leaves them."""
    page: tuple[Inches, ...] = (3.3, 7.0)
    """Widths in inches of the print form. It fills the first that leaves each panel about an inch.
    An empty list leaves panels their `panel_size`."""


class CurveRecipe(_RecipeSpec):
    """A figure of points and lines, in one panel for each value of `panels`."""

    renamed: ClassVar[Mapping[str, str]] = {"x: cells": "kind: heatmap"}

    kind: Literal["curve"] = "curve"
    """`curve` draws points and lines in panels; `heatmap` draws a row for each model, and a column
    for each benchmark, query split and number of shots."""
    x: XAxis
    """Quantity on the x axis."""
    panels: Annotated[tuple[Facet, ...], Field(min_length=1, max_length=2)] = ("dataset",)
    """Split into columns of panels and, with a second entry, into rows."""

    @property
    def heading(self) -> str:
        """The title, or the two quantities that are drawn against each other."""
        return self.title or f"{_capitalized_y(self)} against {X_AXES[self.x].label_for('raw')}"

    @model_validator(mode="after")
    def _check_panels(self) -> Self:
        if len(set(self.panels)) < len(self.panels):
            raise ValueError("`panels` names the same thing twice")
        if self.x in self.panels:
            raise ValueError(f"`{self.x}` cannot be both the x axis and the panels")
        if self.query_split == "all":
            raise ValueError("`query_split: all` is for `kind: heatmap` only")
        return self

    def __repr__(self) -> str:
        return brief("CurveRecipe", self.name, f"{self.y} against {self.x}")


class HeatmapRecipe(_RecipeSpec):
    """A heat map: a row for each model, a column for each benchmark, query split and shots."""

    kind: Literal["heatmap"] = "heatmap"

    @property
    def heading(self) -> str:
        """The title, or the quantity that the cells show."""
        return self.title or f"{_capitalized_y(self)} of every cell"

    def __repr__(self) -> str:
        return brief("HeatmapRecipe", self.name, self.y)


FigureRecipe: TypeAlias = CurveRecipe | HeatmapRecipe
RECIPE_KINDS: Mapping[str, type[FigureRecipe]] = MappingProxyType(
    {"curve": CurveRecipe, "heatmap": HeatmapRecipe}
)
"""The spec of each `kind`; a recipe without one is a curve."""


AnyRecipe: TypeAlias = FigureRecipe | Mapping[str, Any] | str | Path
"""A recipe, the keys and values of its file, the file's path, or the name of one that ships."""


def read_recipe(recipe: AnyRecipe) -> FigureRecipe:
    """Read a figure recipe.

    Args:
        recipe: A YAML file; if there is none, the shipped recipe of that name. Or the keys and
            values that a file would hold. A recipe is returned as it is.

    Returns:
        The recipe, with `style` set to the path of the style file.

    Raises:
        InputError: The recipe or its style cannot be read, the file is not a recipe, or the style
            makes a setting that is not allowed or that matplotlib cannot draw with.
    """
    if isinstance(recipe, FigureRecipe):
        return recipe
    if isinstance(recipe, Mapping):
        return _checked_recipe(dict(recipe))
    path = Path(recipe)
    if not path.is_file():
        path = _shipped_recipe(path)
    recipe = read_spec(path, _kind_of(path))
    try:
        style = style_path(recipe, path.parent)
    except InputError as error:
        raise error.at(file=path, key="style") from None
    if style.parent != shipped("plots"):  # checking a style takes a while; shipped ones are valid
        read_style(style)
    return recipe.model_copy(update={"style": str(style)})


def _checked_recipe(fields: dict[str, Any]) -> FigureRecipe:
    """Return the recipe of keys and values."""
    recipe = check_spec(fields, _spec_of(fields, Place(key="kind")))
    try:
        style = style_path(recipe)
    except InputError as error:
        raise error.at(key="style") from None
    if style.parent != shipped("plots"):
        read_style(style)
    return recipe.model_copy(update={"style": str(style)})


def _kind_of(path: Path) -> type[FigureRecipe]:
    """Return the spec of a file's `kind`."""
    value, lines = read_yaml(path)
    return _spec_of(value, Place(path, lines.get(("kind",)), "kind"))


def _spec_of(value: object, place: Place) -> type[FigureRecipe]:
    """Return the spec of the `kind` that keys and values name."""
    kind = value.get("kind", "curve") if isinstance(value, dict) else "curve"
    if isinstance(kind, str) and kind in RECIPE_KINDS:
        return RECIPE_KINDS[kind]
    raise InputError(
        "not one of the possible values", value=kind, allowed=RECIPE_KINDS, place=place
    )


def shipped_recipes() -> list[FigureRecipe]:
    """Return the recipes that ship with the package, in alphabetical order."""
    return [read_recipe(path) for path in sorted(shipped("plots").glob("*.yaml"))]


def style_path(recipe: FigureRecipe, folder: Path | None = None) -> Path:
    """Find the style file of a recipe.

    Args:
        recipe: The recipe.
        folder: The folder to search first, then that of the shipped styles.

    Raises:
        InputError: There is no such file.
    """
    folders = [folder or Path(), shipped("plots")]
    for candidate in (each / recipe.style for each in folders):
        if candidate.is_file():
            return candidate
    raise InputError(
        "there is no such style file",
        value=recipe.style,
        allowed=[
            *sorted(path.name for path in shipped("plots").glob("*.mplstyle")),
            "or a file beside the recipe",
        ],
    )


def _capitalized_y(recipe: FigureRecipe) -> str:
    label = Y_AXES[recipe.y].label_for("raw")
    return label[0].upper() + label[1:]


def _shipped_recipe(path: Path) -> Path:
    recipes = {each.stem: each for each in sorted(shipped("plots").glob("*.yaml"))}
    if path.stem not in recipes:
        raise InputError(
            "there is no such recipe",
            value=str(path),
            allowed=[*recipes, "or the path of a file (.yaml)"],
        )
    return recipes[path.stem]
