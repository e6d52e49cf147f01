"""How pictures look, and how a figure becomes SVG that can stand inside a page without reaching out of it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, which stays apart under all common kinds of colour blindness
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE = "#56B4E9", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
INK, MUTED, RULE, CONTROL_INK = "#1c2733", "#5d6b7a", "#d9dee4", "#6b7480"
FAMILY_COLOURS = {"baseline": ORANGE, "linear": BLUE, "scm": GREEN, "vae": PURPLE, "semi-mechanistic": VERMILLION}
FAMILY_COLOURS |= {"graph": SKY, "attention": "#8a6d00", "user": INK, "control": CONTROL_INK}

_RC: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "axes.unicode_minus": True,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style within this context; nothing global is left changed."""
    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which belongs to no window and no global list."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def guide_lines(axes: Axes, *, axis: str) -> None:
    """Draw light lines behind the marks, along one axis."""
    axes.set_axisbelow(True)
    axes.grid(axis=axis, color=RULE, linewidth=0.7)  # type: ignore[arg-type]


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """Return a figure as an ``<svg>`` element for a page.

    Args:
        figure: drawn inside `drawing`.
        name: unique in the page; keeps the ids of its parts apart from those of other figures.
        description: what it shows, for readers who cannot see it.

    Text stays text, in the font of the page. What refers to other sites (schemas, metadata) is taken out.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", dpi=144, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(?::\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(
        r'(?<= d=")[^"]+', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg
    )  # hundredths of a point do
    # matplotlib names its groups alike in every figure; ids must be unique in a page
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)([^")]+)', rf"\1{name}-\2", svg)
    svg = re.sub(r"font: ((?:\w+ )*)([\d.]+)px [^;\"]*", _font, svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)


def to_png(figure: Figure, *, dpi: int = 160) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _font(match: re.Match[str]) -> str:
    weight = "font-weight: bold; " if "bold" in match[1] or "700" in match[1] else ""
    return f"{weight}font-size: {match[2]}px"
