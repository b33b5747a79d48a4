"""Waveforms for responses: with fewer points, as an SVG picture, and 304 for a client that has this version."""

from typing import cast

from flask import Response, request

Peaks = list[list[float]]

WIDTH, HEIGHT = 1000, 120
STYLE = "path{fill:#4f6bed}@media(prefers-color-scheme:dark){path{fill:#8ea2ff}}"


def conditional(answer: Response) -> Response:
    """Add an ETag of the content to a response. Returns it, or 304 if the client has this version."""
    answer.add_etag()
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return cast(Response, answer.make_conditional(request))


def coarser(peaks: Peaks, points: int) -> Peaks:
    """At most this number of pairs: each has the lowest and the highest sample of a stretch."""
    count = min(points, len(peaks))
    edges = [number * len(peaks) // count for number in range(count + 1)]
    stretches = [peaks[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    return [[min(low for low, _ in stretch), max(high for _, high in stretch)] for stretch in stretches]


def svg(peaks: Peaks) -> str:
    """One closed outline: the highest samples from left to right, then the lowest back. It fills its frame."""
    step = WIDTH / len(peaks)
    above = [f"{number * step:.1f},{_y(max(high, 0.008))}" for number, (_, high) in enumerate(peaks)]
    below = [f"{number * step:.1f},{_y(min(low, -0.008))}" for number, (low, _) in enumerate(peaks)]
    outline = "M" + "L".join(above + below[::-1]) + "Z"
    frame = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="waveform"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}><style>{STYLE}</style><path d="{outline}"/></svg>'


def _y(sample: float) -> str:
    return f"{HEIGHT / 2 * (1 - sample):.1f}"
