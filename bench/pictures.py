"""Draws the results as SVG: bars of requests a second, and lines of growth. Their colours suit light and dark pages."""

import math
from html import escape

from figures import Rates, Results

SHOWN = ("GET job", "list of 50", "POST job", "PATCH progress", "DELETE job")
LINES = (
    *("list of 50", "list with tracks and loops", "page in the middle", "common word", "rare word"),
    *("metadata filter", "metadata that no job has", "statistics", "GET job", "POST job", "PATCH progress", "claim"),
)
WIDTH, ROW, LEFT, RIGHT, AXIS = 760, 20, 130, 125, 72
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px } .soft { fill: #59636e } .axis { stroke: #d1d9e0 }
.ours { fill: #0969da } .replaced { fill: #afb8c1 } path { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .soft { fill: #9198a1 } .axis { stroke: #3d444d }
  .ours { fill: #4493f8 } .replaced { fill: #656c76 }
}
"""
COLOURS = (
    *("#0969da", "#d1570a", "#1a7f37", "#8250df", "#bf3989", "#0a7d91"),
    *("#9a6700", "#cf222e", "#8b949e", "#4c8dff", "#2da44e", "#a371f7"),
)


def bars(results: Results) -> str:
    """Requests a second at 16 connections: two bars for each operation, and the ratio beside them."""
    rates = Rates(results)
    pairs = {name: (rates.rate(name, "ours") or 0, rates.rate(name, "replaced service") or 0) for name in SHOWN}
    most = max(ours for ours, _ in pairs.values())
    parts = [text(0, 18, "Requests a second, 16 connections", "title"), *legend(WIDTH - 240, 18)]
    y = 44.0
    for name, values in pairs.items():
        parts.append(text(LEFT - 10, y + ROW + 4, name, anchor="end"))
        for value, kind in zip(values, ("ours", "replaced"), strict=True):
            width = max(2, value / most * (WIDTH - LEFT - RIGHT))
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y:.0f}" width="{width:.0f}" height="{ROW - 3}" rx="2"/>')
            times = f" ({values[0] / values[1]:.1f} ×)" if kind == "ours" and values[1] else ""
            parts.append(text(LEFT + width + 6, y + 13, f"{value:,.0f}{times}", "soft"))
            y += ROW
        y += 14
    return svg(y, parts)


def legend(x: float, y: float) -> list[str]:
    """The names of the two kinds of bars."""
    return [
        f'<rect class="ours" x="{x}" y="{y - 11}" width="12" height="12" rx="2"/>',
        text(x + 18, y, "this service"),
        f'<rect class="replaced" x="{x + 112}" y="{y - 11}" width="12" height="12" rx="2"/>',
        text(x + 130, y, "replaced service"),
    ]


def lines(results: Results) -> str:
    """Milliseconds by the number of jobs. Both axes are logarithmic: a flat line does not grow."""
    rows = {row["operation"]: row["ms"] for row in results["growth"] if row["operation"] in LINES}
    sizes = [int(size) for size in next(iter(rows.values()))]
    values = [value for ms in rows.values() for value in ms.values()]
    bottom, top = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    height, right = 400, WIDTH - 190

    def across(size: int) -> float:
        return AXIS + (math.log10(size) - math.log10(sizes[0])) / math.log10(sizes[-1] / sizes[0]) * (right - AXIS)

    def up(value: float) -> float:
        return height - 30 - (math.log10(value) - bottom) / (top - bottom) * (height - 80)

    parts = [text(0, 18, "Milliseconds of a request, by the number of jobs (both logarithmic)", "title")]
    for power in range(bottom, top + 1):
        y = up(10**power)
        parts.append(f'<path class="axis" d="M{AXIS} {y:.0f}H{right}" style="stroke-width:1"/>')
        parts.append(text(AXIS - 8, y + 4, f"{10**power:,g} ms", "soft", "end"))
    parts += [text(across(size), height - 6, f"{size:,}", "soft", "middle") for size in sizes]
    labels = spread({name: up(list(ms.values())[-1]) for name, ms in rows.items()}, height - 20)
    for colour, (name, ms) in zip(COLOURS, rows.items(), strict=False):
        points = " ".join(f"{across(int(size)):.1f},{up(value):.1f}" for size, value in ms.items())
        parts.append(f'<path d="M{points.replace(" ", "L")}" stroke="{colour}"/>')
        y = labels[name]
        parts.append(f'<path d="M{right + 4} {up(list(ms.values())[-1]):.0f}L{right + 16} {y:.0f}" stroke="{colour}"/>')
        parts.append(text(right + 20, y + 4, name))
    return svg(height, parts)


def spread(places: dict[str, float], bottom: float, gap: float = 16) -> dict[str, float]:
    """The places of the labels, moved apart so that no label covers another."""
    placed: dict[str, float] = {}
    last = -math.inf
    for name, y in sorted(places.items(), key=lambda item: item[1]):
        last = placed[name] = max(y, last + gap)
    over = max(0.0, last - bottom)
    return {name: y - over for name, y in placed.items()}


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A text element."""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(height: float, parts: list[str]) -> str:
    """The whole picture."""
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )
