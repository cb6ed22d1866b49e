"""Style files: which of matplotlib's settings a style may make, checked before anything is drawn.

A style may come from a stranger. It sets how things look, and nothing that runs a program, loads a
module or names a folder: no LaTeX, no backends, no hooks.
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

from icl_gap.documents import read_text
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
"""What the name of a setting may begin with."""
LARGEST = 100.0
"""The largest number of a setting, below or above zero: points, shares of a font's size, counts."""
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
"""Limits of settings that have others; weights go up to 1000."""
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
        path: As matplotlib has them: `key: value` lines, `#` before comments.

    Returns:
        The settings, as matplotlib's `rcParams` take them.

    Raises:
        InputError: The file cannot be read, or makes a setting that is not allowed, or one that
            matplotlib cannot draw with. It names the file, the line, the key and the value.
    """
    try:
        return dict(_checked(read_text(path)))
    except InputError as error:
        raise error.at(file=path) from None


@contextmanager
def applied(style: Path) -> Iterator[None]:
    """Draw with a style, on top of matplotlib's defaults rather than of the user's own settings.

    Raises:
        InputError: As `read_style`.
    """
    import matplotlib as mpl

    settings = read_style(style)
    with mpl.rc_context():
        mpl.rcdefaults()
        # The names of models are no formulas, whatever signs are in them.
        mpl.rcParams.update({**settings, "text.parse_math": False})
        yield


@lru_cache(maxsize=8)
def _checked(text: str) -> Mapping[str, Any]:
    """The settings of a style's text; each is read once, however many figures have it."""
    settings = list(_settings(text))
    values = {each.key: _value(each) for each in settings}
    if _draws(values):
        return values
    for each in settings:
        if not _draws({each.key: values[each.key]}):
            raise _fault(each, "matplotlib cannot draw with this setting")
    raise InputError("matplotlib cannot draw with these settings together")


def _settings(text: str) -> Iterator[_Setting]:
    """The lines, cut as matplotlib cuts them, with what it only logs as errors."""
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
    for place, c in enumerate(line):
        if c == "#" and not quoted:
            return line[:place]
        quoted ^= c == '"'
    return line


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


def _value(setting: _Setting) -> Any:
    """A setting's value as matplotlib has it.

    Raises:
        InputError: The setting is not allowed, or not one that matplotlib takes.
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
    except Exception as error:  # whatever a validator of matplotlib raises
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
    """Whether a cycle is made of lists alone: no arithmetic makes a long one of a short text."""
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
    """The numbers in a value."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _draws(settings: Mapping[Any, Any]) -> bool:
    """Whether a small figure with something of everything can be drawn."""
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
        except Exception:  # noqa: BLE001 (whatever drawing raises, the style is at fault)
            return False
    return True


def _fault(
    setting: _Setting, problem: str, *, value: str | None = None, allowed: str | None = None
) -> InputError:
    place = Place(line=setting.line, key=setting.key)
    found = setting.value if value is None else value
    return InputError(problem, value=found, allowed=allowed, place=place)
