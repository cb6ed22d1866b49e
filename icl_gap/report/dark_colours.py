"""Colours of figures in dark mode.

A drawing names its colours in the attributes of its elements. On the page each becomes a CSS
variable: the colour itself in light mode, one of another lightness in dark mode. Hues stay, so
that a colour means the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import atan2, cos, hypot, sin

_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_COLOUR = re.compile(r"\b(fill|stroke|stop-color)(: ?|=\")#([0-9a-f]{6})\b", re.IGNORECASE)
LIGHTEST, DARKEST = 0.93, 0.21
"""Lightness (OKLCH) that black and white get: those of the page's text and of its background."""
LIFT = 0.2
"""Lightness that a colour gains over a grey, so that thin lines are seen."""
FULL = 0.12
"""Chroma (OKLCH) from which the whole lift is given."""

Triple = tuple[float, float, float]


def with_variables(svg: str) -> str:
    """Return a drawing whose colours are CSS variables, e.g. `var(--c-0072b2, #0072b2)`."""

    def tag(found: re.Match[str]) -> str:
        return _COLOUR.sub(_variable, found[0])

    return _TAG.sub(tag, svg)


def dark_style(drawings: Iterable[str]) -> str:
    """Return the declarations of all variables in the drawings, for dark mode."""
    names = {name for svg in drawings for name in re.findall(r"var\(--c-([0-9a-f]{6}),", svg)}
    # The background of a figure is that of the page.
    known = {"ffffff": "var(--paper)"}
    values = {name: known.get(name) or dark_colour(f"#{name}") for name in sorted(names)}
    return " ".join(f"--c-{name}: {value};" for name, value in values.items())


def dark_colour(colour: str) -> str:
    """Return the colour of the same hue for a dark page.

    Black becomes nearly white and white the colour of the page. The conversion is that of OKLab
    (Ottosson 2020, https://bottosson.github.io/posts/oklab/).

    Args:
        colour: `#rrggbb`.
    """
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    lightness, a, b = _to_oklab((_linear(red), _linear(green), _linear(blue)))
    chroma, hue = hypot(a, b), atan2(b, a)
    lightness = LIGHTEST - (LIGHTEST - DARKEST) * lightness + LIFT * min(1, chroma / FULL)
    while True:  # colours that no screen can show lose chroma until one can
        rgb = _from_oklab((lightness, chroma * cos(hue), chroma * sin(hue)))
        if chroma < 0.01 or all(-0.001 <= part <= 1.001 for part in rgb):
            break
        chroma *= 0.95
    return "#" + "".join(f"{round(255 * _gamma(min(1, max(0, part)))):02x}" for part in rgb)


def _variable(found: re.Match[str]) -> str:
    colour = found[3].lower()
    return f"{found[1]}{found[2]}var(--c-{colour}, #{colour})"


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _gamma(part: float) -> float:
    return float(12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055)


def _to_oklab(rgb: Triple) -> Triple:
    red, green, blue = rgb
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lab: Triple) -> Triple:
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
