"""Colours in dark mode: legible, of the same hue, and alike for alike."""

from __future__ import annotations

import colorsys

from hypothesis import given
from hypothesis import strategies as st

from icl_gap.report.dark_colours import dark_colour, dark_style, with_variables

COLOURS = st.integers(0, 0xFFFFFF).map(lambda n: f"#{n:06x}")
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def parts(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def luminance(colour: str) -> float:
    linear = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts(colour))
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@given(COLOURS)
def test_every_colour_has_one(colour: str) -> None:
    made = dark_colour(colour)
    assert len(made) == 7
    assert all(0 <= part <= 1 for part in parts(made))
    assert dark_colour(colour) == made


@given(st.integers(0, 254))
def test_the_lighter_grey_becomes_the_darker(level: int) -> None:
    darker, lighter = (f"#{each:02x}{each:02x}{each:02x}" for each in (level, level + 1))
    assert luminance(dark_colour(lighter)) <= luminance(dark_colour(darker))


def test_colours_of_series_are_seen_on_the_dark_page_and_keep_their_hue() -> None:
    paper = luminance("#15181c")
    for colour in PALETTE:
        made = dark_colour(colour)
        assert (luminance(made) + 0.05) / (paper + 0.05) > 4, colour
        hues = [colorsys.rgb_to_hsv(*parts(each))[0] for each in (colour, made)]
        assert min(abs(hues[0] - hues[1]), 1 - abs(hues[0] - hues[1])) < 0.08, colour
    assert len({dark_colour(each) for each in PALETTE}) == len(PALETTE)


def test_colours_become_variables_and_texts_stay() -> None:
    text = "<text>fill: #123456</text>"
    svg = f'<path style="fill: #0072B2; stroke: none"/><rect fill="#f2f2f2"/>{text}'
    made = with_variables(svg)
    assert made == (
        '<path style="fill: var(--c-0072b2, #0072b2); stroke: none"/>'
        f'<rect fill="var(--c-f2f2f2, #f2f2f2)"/>{text}'
    )
    style = dark_style([made, made, with_variables('<path style="fill: #ffffff"/>')])
    names = [each.partition(":")[0].strip() for each in style.split(";")[:-1]]
    assert names == ["--c-0072b2", "--c-f2f2f2", "--c-ffffff"]
    assert "--c-ffffff: var(--paper);" in style
