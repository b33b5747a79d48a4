"""The picture of a seam: what leaves and what enters, overlaid on one time axis with the cut in the middle."""

from collections.abc import Sequence
from typing import Any

Peaks = Sequence[Sequence[float]]  # pairs [lowest, highest] of samples, -1 to 1

WIDTH, HEIGHT = 1000, 160
CUT = WIDTH / 2
QUIETEST = 0.05  # a sound that is never louder is not drawn larger than this share of the height
THINNEST = 0.6  # units of half a line: silence is a line, too
STYLE = (
    ".leaving{color:#4f6bed}.entering{color:#c2571a}.cut,.mix{color:#5b6170}"
    "@media(prefers-color-scheme:dark){.leaving{color:#8ea2ff}.entering{color:#ffab70}.cut,.mix{color:#a7adbb}}"
    "path{fill:currentColor}.other{fill-opacity:.15;stroke:currentColor;stroke-opacity:.7}"
    ".cut{stroke:currentColor;stroke-width:2;stroke-dasharray:6 4}.mix{fill:currentColor;fill-opacity:.16}"
    ".other,.cut{vector-effect:non-scaling-stroke}"
)


def svg(outline: dict[str, Any], crossfade: float) -> str:
    """The picture of an outline (studio/looper/outline.py) and a crossfade in seconds. It fills its frame.

    Left of the cut, the sound that leaves is filled; right of it, the sound that enters. The other sound, which the
    loop does not play there, has an outline.
    """
    leaving, entering, seconds = outline["leaving"], outline["entering"], outline["seconds"]
    middle, scale = len(leaving) // 2, _scale(leaving, entering)
    mixed = min(1.0, crossfade / seconds) * CUT
    title = (
        f"The seam: the sound before {outline['end']:.1f} s continues with the sound after {outline['start']:.1f} s, "
        f"with a crossfade of {1000 * crossfade:.0f} ms."
    )
    parts = [
        f'<rect class="mix" x="{CUT - mixed:.1f}" width="{mixed:.1f}" height="{HEIGHT}"/>',
        _path("leaving", leaving, (0, middle), scale),
        _path("entering", entering, (middle, len(entering)), scale),
        _path("leaving other", leaving, (middle, len(leaving)), scale),
        _path("entering other", entering, (0, middle), scale),
        f'<line class="cut" x1="{CUT:.0f}" x2="{CUT:.0f}" y1="0" y2="{HEIGHT}"/>',
    ]
    frame = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="title"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {frame}><title id="title">{title}</title><style>{STYLE}</style>'
    return "".join([head, *parts, "</svg>"])


def _path(name: str, peaks: Peaks, part: tuple[int, int], scale: float) -> str:
    """A closed outline of a part of the peaks: the highest samples from left to right, then the lowest back."""
    step, middle = WIDTH / len(peaks), HEIGHT / 2
    places = range(*part)
    above = [f"{(place + 0.5) * step:.1f},{middle - max(THINNEST, peaks[place][1] * scale):.1f}" for place in places]
    below = [f"{(place + 0.5) * step:.1f},{middle - min(-THINNEST, peaks[place][0] * scale):.1f}" for place in places]
    return f'<path class="{name}" d="M{"L".join(above + below[::-1])}Z"/>'


def _scale(*sounds: Peaks) -> float:
    """The units that a sample of 1 is high, so that the loudest sample touches the frame."""
    loudest = max(abs(sample) for peaks in sounds for pair in peaks for sample in pair)
    return HEIGHT / 2 / max(QUIETEST, loudest)
