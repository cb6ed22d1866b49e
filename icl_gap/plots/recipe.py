"""Figure recipes: what a user writes to say what a figure shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticKnownError

from icl_gap.errors import InputError, Place
from icl_gap.plots.axes import CELLS, X_AXES, Y_AXES
from icl_gap.plots.style import read_style
from icl_gap.specs import Spec, read_spec, shipped
from icl_gap.text import brief


def _one_of(names: Iterable[str]) -> AfterValidator:
    """Allows the names of a table, and reports others as pydantic does those of a `Literal`."""
    *others, last = allowed = tuple(names)
    expected = f"{', '.join(map(repr, others))} or {last!r}"

    def check(value: str) -> str:
        if value not in allowed:
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    return AfterValidator(check)


XAxis = Annotated[str, _one_of([*X_AXES, CELLS])]
YAxis = Annotated[str, _one_of(Y_AXES)]
QuerySplits = Literal["train", "test", "pooled", "any", "all"]
Facet = Literal["dataset", "shots", "family"]
Format = Literal["png", "pdf", "svg"]
Inches = Annotated[float, Field(gt=0.5, le=20)]


class FigureRecipe(Spec):
    """What a figure shows, and how large."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """The stem of the files written."""
    x: XAxis
    """`cells` makes a heat map: a row a model, a column a benchmark, query split and number of
    shots, in which `y` is the colour."""
    y: YAxis
    panels: Annotated[tuple[Facet, ...], Field(min_length=1, max_length=2)] = ("dataset",)
    """What the columns of panels stand for, and, if there is a second entry, the rows."""
    query_split: QuerySplits = "pooled"
    """`any` is pooled where both sides were asked, else the one that was; `all`, which only a heat
    map can show, is each of the three."""
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("png", "pdf", "svg")
    title: str | None = None
    style: str = "icl_gap.mplstyle"
    """A matplotlib style file: beside the recipe, or one of those that ship with the package."""
    panel_size: tuple[Inches, Inches] = (2.3, 1.8)
    """Width and height of one panel, in inches; the figure grows with their number. Of a heat map,
    the most that it may take, names of models left out."""
    page: tuple[Inches, ...] = ()
    """Widths that the figure may take, in inches, such as those of one and of two columns of a
    page. Panels get narrower, though not too narrow to be read, so that it fits the first it can;
    without this, they are as wide as `panel_size` says."""

    @property
    def heading(self) -> str:
        """The title, or what is drawn against what."""
        if self.title:
            return self.title
        y = Y_AXES[self.y].named("raw")
        rest = "of every cell" if self.x == CELLS else f"against {X_AXES[self.x].named('raw')}"
        return f"{y[0].upper()}{y[1:]} {rest}"

    @model_validator(mode="after")
    def _panels_make_sense(self) -> Self:
        if len(set(self.panels)) < len(self.panels):
            raise ValueError("`panels` names the same thing twice")
        if self.x in self.panels:
            raise ValueError(f"`{self.x}` cannot be both the x axis and the panels")
        if self.query_split == "all" and self.x != CELLS:
            raise ValueError(f"`query_split: all` is for `x: {CELLS}` only")
        return self

    def __repr__(self) -> str:
        return brief("FigureRecipe", self.name, f"{self.y} against {self.x}")


def read_recipe(path: str | Path) -> FigureRecipe:
    """Read a figure recipe.

    Args:
        path: A YAML file; where there is none, the shipped recipe of that name.

    Returns:
        The recipe, its style resolved to a file.

    Raises:
        InputError: The recipe or its style cannot be read, the recipe is not a recipe, or the
            style makes a setting that it may not make or that nothing can be drawn with.
    """
    path = Path(path)
    if not path.is_file():
        path = _shipped_recipe(path)
    recipe = read_spec(path, FigureRecipe)
    try:
        style = style_path(recipe, path.parent)
    except InputError as error:
        raise error.at(file=path, key="style") from None
    if style.parent != shipped("plots"):  # those that ship need no check, which takes a while
        read_style(style)
    return recipe.model_copy(update={"style": str(style)})


def shipped_recipes() -> list[FigureRecipe]:
    """The recipes that ship with the package, in alphabetical order."""
    return [read_recipe(path) for path in sorted(shipped("plots").glob("*.yaml"))]


def style_path(recipe: FigureRecipe, folder: Path | None = None) -> Path:
    """The recipe's style file.

    Args:
        recipe: The recipe.
        folder: Where to look first.

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
        allowed="a file beside the recipe, or "
        + ", ".join(sorted(path.name for path in shipped("plots").glob("*.mplstyle"))),
    )


def _shipped_recipe(path: Path) -> Path:
    recipes = {each.stem: each for each in sorted(shipped("plots").glob("*.yaml"))}
    if path.stem not in recipes:
        raise InputError(
            "there is no such recipe",
            allowed="a file, or a shipped one: " + ", ".join(recipes),
            place=Place(path),
        )
    return recipes[path.stem]
