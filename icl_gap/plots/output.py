"""`plot`: writing a figure and its numbers to files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from icl_gap.analysis import Analysis, analyze
from icl_gap.errors import InputError
from icl_gap.files import IrregularError, make_folder, remove_temporaries, write_atomically
from icl_gap.plots.content import select_points
from icl_gap.plots.figure import build
from icl_gap.plots.point_text import embed_tooltips, points_csv
from icl_gap.plots.recipe import AnyRecipe, FigureRecipe, Format, read_recipe, style_path
from icl_gap.plots.style import applied

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


def plot(results: pd.DataFrame | Analysis, recipe: AnyRecipe, out_dir: str | Path) -> list[Path]:
    """Draw a figure and write it to files, with its points as CSV.

    The same results give the same bytes. The function leaves matplotlib's global state as it was
    and ignores the user's own matplotlib settings. It writes each file whole or not at all.

    Args:
        results: A frame of `load_results`, which is analyzed with the defaults of `analyze`; or an
            analysis.
        recipe: The figure to draw, in any form that `read_recipe` takes.
        out_dir: The folder for the files, made if missing.

    Returns:
        The files written: one for each format, then the CSV.

    Raises:
        AnalysisError: There is nothing to draw, or the cells cannot be compared.
        InputError: The recipe or its style cannot be read, or the folder cannot be written.
    """
    from icl_gap.results import MANIFEST  # brings Arrow and NumPy in

    recipe, out_dir = read_recipe(recipe), Path(out_dir)
    analysis = results if isinstance(results, Analysis) else analyze(results)
    contents = _render(analysis, recipe)
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
    (content,) = _render(analysis, changed).values()
    text = content.decode()
    return re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{recipe.name}-", text[text.index("<svg") :])


def _render(analysis: Analysis, recipe: FigureRecipe) -> dict[str, bytes]:
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    with applied(style_path(recipe)):
        colours = [to_hex(each["color"]) for each in mpl.rcParams["axes.prop_cycle"]]
        figure = build(analysis, recipe, colours)
        contents = {}
        for kind in recipe.formats:
            out = io.BytesIO()
            figure.savefig(
                out,
                format=kind,
                metadata=dict(METADATA[kind]),
                bbox_inches="tight",
                pad_inches=0.05,
            )
            contents[f"{recipe.name}.{kind}"] = out.getvalue()
    if drawing := contents.get(f"{recipe.name}.svg"):
        contents[f"{recipe.name}.svg"] = embed_tooltips(drawing.decode()).encode()
    return contents
