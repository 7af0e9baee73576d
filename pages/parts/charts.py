"""What all figures and tables of the pages share: colours of regions, the order of sexes and regions."""

from __future__ import annotations

from collections.abc import Sequence

from thighseg_core.labels import COLOURS

SEX_ORDER = ("female", "male", "other", "unknown")
_TOTAL_COLOUR = "#5B6BC0"  # regions that are no single class (total muscle) take the interface's own hue


def region_colour(region: str) -> str:
    """Colour of a region: its class colour, or the interface's hue for sums over classes."""
    return COLOURS.get(region, _TOTAL_COLOUR)


def translucent(colour: str, opacity: float) -> str:
    """`#RRGGBB` -> `rgba(r, g, b, opacity)`."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def regions_in_order(regions: Sequence[str]) -> list[str]:
    """Regions as the label list orders them; sums and unknown ones last, by name."""
    known = list(COLOURS)
    return sorted(set(regions), key=lambda region: (known.index(region) if region in known else len(known), region))


def swatch_css(key: str, regions: Sequence[str]) -> str:
    """Style that puts each region's colour in front of its button in the Streamlit container of `key`."""
    rules = "".join(
        f".st-key-{key} button:nth-of-type({number})::before{{background:{region_colour(region)}}}"
        for number, region in enumerate(regions, start=1)
    )
    dot = "content:'';display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.4rem;flex:none"
    return f"<style>.st-key-{key} [data-testid='stButtonGroup'] button::before{{{dot}}}{rules}</style>"
