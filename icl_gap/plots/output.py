"""`plot`: writing a figure and its numbers to files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import Analysis, analyze
from icl_gap.errors import InputError
from icl_gap.files import IrregularError, make_folder, remove_temporaries, write_atomically
from icl_gap.plots.content import select_points
from icl_gap.plots.figure import build, caption_of
from icl_gap.plots.figure_form import enlarge
from icl_gap.plots.point_text import embed_tooltips, points_csv
from icl_gap.plots.recipe import AnyRecipe, FigureRecipe, Format, read_recipe, style_path
from icl_gap.plots.style import applied
from icl_gap.plots.typesetting import add_subscripts, plain_formulas
from icl_gap.schema import FigureForm

if TYPE_CHECKING:
    import pandas as pd

# A date would make two runs differ.
METADATA: Mapping[Format, Mapping[str, str | None]] = MappingProxyType(
    {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
)


def plot(
    results: pd.DataFrame | Analysis,
    recipe: AnyRecipe,
    out_dir: str | Path,
    *,
    form: FigureForm = "web",
) -> list[Path]:
    """Draw a figure and write it to files, with its points as CSV.

    The same results give the same bytes. The function leaves matplotlib's global state as it was
    and ignores the user's own matplotlib settings. It writes each file whole or not at all.

    Args:
        results: A frame of `load_results`, which is analyzed with the defaults of `analyze`; or an
            analysis.
        recipe: The figure to draw, in any form that `read_recipe` takes.
        out_dir: The folder for the files, made if missing.
        form: `web` for screens. `print` for a page: the figure is as wide as its column, and its
            caption is a file of its own.

    Returns:
        The files written: one for each format, then the caption of a print form, then the CSV.

    Raises:
        AnalysisError: There is nothing to draw, or the cells cannot be compared.
        InputError: The recipe or its style cannot be read, or the folder cannot be written.
    """
    from icl_gap.results import MANIFEST  # brings Arrow and NumPy in

    recipe, out_dir = read_recipe(recipe), Path(out_dir)
    analysis = results if isinstance(results, Analysis) else analyze(results)
    contents = _render(analysis, recipe, form)
    if form == "print":
        contents[f"{recipe.name}-print.txt"] = f"{caption_of(analysis, recipe)}\n".encode()
    contents[f"{recipe.name}.csv"] = points_csv(select_points(analysis, recipe)).encode()
    try:
        # A link in a results folder, which may come from anywhere, is not followed.
        make_folder(out_dir, follow=not (out_dir.parent / MANIFEST).exists())
        remove_temporaries(out_dir)
        for name, content in contents.items():
            write_atomically(out_dir / name, [content])
    except IrregularError as error:
        raise InputError(
            f"cannot write the figure: {error.strerror}", value=error.filename
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot write the figure: {error.strerror}", value=str(out_dir)
        ) from error
    return [out_dir / name for name in contents]


def draw_svg(analysis: Analysis, recipe: FigureRecipe) -> str:
    """Draw a figure as SVG for an HTML page.

    Every marker and every cell of a heat map has a `title`, which browsers show as a tooltip: the
    model, the cell, the numbers with their intervals, and the number of queries.

    Args:
        analysis: The numbers.
        recipe: The figure to draw.

    Returns:
        The `svg` element, the same for the same results. Its ids begin with the name of the
        recipe, so that figures can share a page.

    Raises:
        AnalysisError: There is nothing to draw.
        InputError: The style cannot be read.
    """
    changed = recipe.model_copy(update={"formats": ("svg",)})
    (content,) = _render(analysis, changed, "web").values()
    text = content.decode()
    return re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{recipe.name}-", text[text.index("<svg") :])


def _render(analysis: Analysis, recipe: FigureRecipe, form: FigureForm) -> dict[str, bytes]:
    """Return the figure in each of its formats, by the names of files."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    stem = recipe.name if form == "web" else f"{recipe.name}-{form}"
    # On paper, a figure is as wide as its column to the last digit.
    cropped: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.05} if form == "web" else {}
    with applied(style_path(recipe)):
        colours = [to_hex(each["color"]) for each in mpl.rcParams["axes.prop_cycle"]]
        figure = build(analysis, recipe, colours, form)
        contents = {}
        for kind in recipe.formats:
            out = io.BytesIO()
            with plain_formulas(figure) if kind == "svg" else nullcontext():
                figure.savefig(out, format=kind, metadata=dict(METADATA[kind]), **cropped)
            contents[f"{stem}.{kind}"] = out.getvalue()
    if drawing := contents.get(f"{stem}.svg"):
        text = embed_tooltips(add_subscripts(drawing.decode()))
        contents[f"{stem}.svg"] = (enlarge(text) if form == "web" else text).encode()
    return contents
