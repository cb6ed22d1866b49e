"""Style files: the matplotlib settings that a style may make, checked before anything is drawn.

A style may come from a stranger. It sets colours, fonts and sizes, and nothing that runs a program,
loads a module or names a folder: no LaTeX, no backends, no hooks.
"""

from __future__ import annotations

import ast
import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from icl_gap.documents import read_document
from icl_gap.errors import InputError, Place

ALLOWED = (
    "axes.", "errorbar.", "font.", "grid.", "hatch.", "image.cmap", "legend.", "lines.", "markers.",
    "mathtext.", "patch.", "scatter.", "xaxis.", "xtick.", "yaxis.", "ytick.",
    "figure.dpi", "figure.edgecolor", "figure.facecolor", "figure.frameon", "figure.labelsize",
    "figure.labelweight", "figure.titlesize", "figure.titleweight",
    "pdf.compression", "pdf.fonttype", "ps.fonttype", "svg.fonttype", "svg.hashsalt",
    "savefig.dpi", "savefig.edgecolor", "savefig.facecolor", "savefig.transparent",
    "text.antialiased", "text.color", "text.hinting", "text.parse_math",
)  # fmt: skip
"""Beginnings of the names of allowed settings."""
LARGEST = 100.0
"""The largest absolute value of a number: points, fractions of a font's size, counts."""
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "figure.dpi": (10, 1200),
        "font.size": (1, LARGEST),
        "font.stretch": (0, 1000),
        "pdf.compression": (0, 9),
        "savefig.dpi": (10, 1200),
        "xtick.minor.ndivs": (1, LARGEST),
        "ytick.minor.ndivs": (1, LARGEST),
    }
)
"""Limits of the settings that have their own; weights go up to 1000."""
_CYCLE = "axes.prop_cycle"
_CYCLE_FORM = 'as cycler("color", ["0072B2", "D55E00"]), with others added by +'
_CYCLE_PARTS = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple, ast.keyword,
    ast.BinOp, ast.Add,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Setting:
    """One line of a style."""

    line: int
    key: str
    value: str


def read_style(path: Path) -> dict[Any, Any]:
    """Read a style file.

    Args:
        path: A file in matplotlib's format: `key: value` lines, comments after `#`.

    Returns:
        The settings, for matplotlib's `rcParams`.

    Raises:
        InputError: The file cannot be read, or has a setting that is not allowed or that matplotlib
            cannot draw with. The error names the file, the line, the key and the value.
    """
    try:
        return dict(_checked(read_document(path)))
    except InputError as error:
        raise error.at(file=path) from None


@contextmanager
def applied(style: Path) -> Iterator[None]:
    """Draw with a style on top of matplotlib's defaults, not of the user's own settings.

    Raises:
        InputError: See `read_style`.
    """
    import matplotlib as mpl

    settings = read_style(style)
    with mpl.rc_context():
        mpl.rcdefaults()
        # The name of a model is not a formula, even with `$` in it.
        mpl.rcParams.update({**settings, "text.parse_math": False})
        yield


@lru_cache(maxsize=8)
def _checked(text: str) -> Mapping[str, Any]:
    """Return the settings in the text of a style, which is checked once for all figures."""
    settings = list(_settings(text))
    values = {each.key: _value(each) for each in settings}
    if _draws(values):
        return values
    for each in settings:
        if not _draws({each.key: values[each.key]}):
            raise _fault(each, "matplotlib cannot draw with this setting")
    raise InputError("matplotlib cannot draw with these settings together")


def _settings(text: str) -> Iterator[_Setting]:
    """Yield the lines as matplotlib splits them; what it only logs is an error here."""
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        content = _without_comment(line)
        key, colon, value = (part.strip() for part in content.partition(":"))
        if not content.strip():
            continue
        if not colon:
            place = Place(line=number)
            raise InputError("no colon in it", value=line, allowed="key: value", place=place)
        setting = _Setting(number, key, _unquoted(value))
        if key in seen:
            raise _fault(setting, f"this setting stands twice, first on line {seen[key]}")
        seen[key] = number
        yield setting


def _without_comment(line: str) -> str:
    quoted = False
    for position, c in enumerate(line):
        if c == "#" and not quoted:
            return line[:position]
        quoted ^= c == '"'
    return line


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


def _value(setting: _Setting) -> Any:
    """Return the value of a setting, as matplotlib parses it.

    Raises:
        InputError: The setting is not allowed, or matplotlib does not accept it.
    """
    import matplotlib as mpl

    if setting.key not in mpl.rcParamsDefault:
        raise _fault(setting, "not a setting of matplotlib", value=setting.key)
    if not setting.key.startswith(ALLOWED):
        raise _fault(setting, "a style may not make this setting", allowed=", ".join(ALLOWED))
    if setting.key == _CYCLE and not _is_plain_cycle(setting.value):
        raise _fault(setting, "not a cycle of colours", allowed=_CYCLE_FORM)
    try:
        key: Any = setting.key  # matplotlib names all of them in its types
        value = mpl.RcParams({key: setting.value})[key]
    except Exception as error:  # validators of matplotlib raise any
        raise _fault(setting, f"not a matplotlib style: {error}") from error
    if setting.key == _CYCLE and "color" not in value.keys:
        raise _fault(setting, "no colours in the cycle", allowed=_CYCLE_FORM)
    if setting.key == "text.parse_math" and value:
        raise _fault(setting, "names are not formulas", allowed="False")
    usual = (0, 1000) if setting.key.endswith("weight") else (-LARGEST, LARGEST)
    low, high = RANGES.get(setting.key, usual)
    if not all(math.isfinite(n) and low <= n <= high for n in _numbers(value)):
        raise _fault(setting, "the number is out of range", allowed=f"{low:g} to {high:g}")
    return value


def _is_plain_cycle(text: str) -> bool:
    """Return True for a cycle made of lists alone, with no arithmetic that makes it long."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _CYCLE_PARTS):
            return False
        if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            return False
        if isinstance(node, ast.Name) and node.id != "cycler":
            return False
        if isinstance(node, ast.BinOp) and not all(
            isinstance(side, ast.Call | ast.BinOp) for side in (node.left, node.right)
        ):
            return False
    return True


def _numbers(value: object) -> Iterator[float]:
    """Yield the numbers in a value."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _draws(settings: Mapping[Any, Any]) -> bool:
    """Return True if matplotlib can draw a small figure with every kind of artist."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        try:
            mpl.rcParams.update(settings)
            figure = Figure(figsize=(1, 1), dpi=50)
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            axes.plot([0, 1], [0, 1], label="a")
            axes.errorbar([0, 1], [0, 1], yerr=0.1, label="b")
            axes.scatter([0, 1], [0, 1], label="c")
            axes.bar([0], [1], hatch="//")
            axes.imshow([[0, 1]])
            axes.set(title="a", xlabel="a", ylabel="a")
            axes.legend(title="a")
            figure.suptitle("a")
            figure.savefig(io.BytesIO(), format="png", dpi=50)
        except Exception:  # noqa: BLE001 (any error of drawing is the fault of the style)
            return False
    return True


def _fault(
    setting: _Setting, problem: str, *, value: str | None = None, allowed: str | None = None
) -> InputError:
    place = Place(line=setting.line, key=setting.key)
    found = setting.value if value is None else value
    return InputError(problem, value=found, allowed=allowed, place=place)
