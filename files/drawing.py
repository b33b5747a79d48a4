"""Draws the cover of a track: its waveform and its title, as SVG that becomes a PNG.

`python -m files.drawing WAVEFORM SOURCE TARGET`: WAVEFORM is the JSON of files.sound.waveform(), standard input is the
title. This module runs as a subprocess of the web process, so resvg is loaded only while a cover is drawn. The same
waveform and the same title make the same picture, as long as the fonts of the machine stay the same.

fontconfig (fc-match) chooses a font that has all characters of the title. Without such a font, or without fontconfig,
the cover has no title: a letter that is missing would be a box.
"""

import hashlib
import json
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import resvg_py

from files.child import give_way

SIZE, MARGIN = 800, 64  # pixels
BARS, MIDDLE, TALLEST = 56, 330, 460  # of the waveform: their number, where it is, and its height
TITLE_PLACE, MOST_LINES = 640, 3  # where the first line of the title is
FONT_SIZES = (56, 48, 40)
TITLE_CHARACTERS = 90
FORMATS = (".ttf", ".otf", ".ttc")  # of fonts that resvg reads
FC_MATCH = ("fc-match", "-f", r"%{file}\n%{family[0]}\n%{charset}")
FC_SECONDS = 10.0
CONTROL, NONE = ("Cc", "Cs"), "\ufffe\uffff"
UNSEEN = ("Cf", "Mn")  # characters that need no glyph: joiners, and accents that are part of a letter


class Font(NamedTuple):
    """A file with a font, and its family."""

    path: str
    family: str


def draw(peaks: Sequence[Sequence[float]], title: str) -> bytes:
    """The cover as a PNG. peaks: pairs of the lowest and the highest sample, -1 to 1."""
    words = shown(title)
    font = font_for(words)
    files = [font.path] if font else []
    return resvg_py.svg_to_bytes(svg(peaks, words, font), width=SIZE, skip_system_fonts=True, font_files=files)


def svg(peaks: Sequence[Sequence[float]], title: str, font: Font | None) -> str:
    """The cover as SVG. Its colour comes from the title."""
    hue = int.from_bytes(hashlib.sha256(title.encode()).digest()[:2]) % 360
    stops = (f"hsl({hue},48%,34%)", f"hsl({(hue + 40) % 360},56%,15%)")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}"><defs>'
        f'<linearGradient id="ground" x2="1" y2="1"><stop stop-color="{stops[0]}"/><stop offset="1" '
        f'stop-color="{stops[1]}"/></linearGradient></defs><rect width="{SIZE}" height="{SIZE}" fill="url(#ground)"/>'
        f'<g fill="#fff" fill-opacity=".86">{_bars(peaks)}</g>{_title(title, font) if font else ""}</svg>'
    )


def shown(title: str) -> str:
    """The title without characters that XML cannot have, in one line, and shortened."""
    one_line = " ".join(unicodedata.normalize("NFC", title).split())
    words = "".join(letter for letter in one_line if unicodedata.category(letter) not in CONTROL and letter not in NONE)
    return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1].rstrip() + "…"


def font_for(words: str) -> Font | None:
    """The font of the machine that has a glyph for every character; None if there is none."""
    letters = {letter for letter in words if letter != " " and unicodedata.category(letter) not in UNSEEN}
    if not letters:
        return None
    charset = " ".join(f"{ord(letter):x}" for letter in sorted(letters))
    command = [*FC_MATCH, f"sans-serif:bold:outline=true:charset={charset}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=FC_SECONDS, check=True).stdout
        path, family, ranges = answer.split("\n", 2)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Font(path, family) if path.lower().endswith(FORMATS) and _has_all(ranges, letters) else None


def _has_all(ranges: str, letters: set[str]) -> bool:
    """True if all letters are in the ranges, which fontconfig writes as 20-7e a0."""
    pairs = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    return all(any(pair[0] <= ord(letter) <= pair[-1] for pair in pairs) for letter in letters)


def _bars(peaks: Sequence[Sequence[float]]) -> str:
    """A bar for each stretch of the sound, as high as its loudest sample. The loudest bar is TALLEST."""
    edges = [number * len(peaks) // BARS for number in range(BARS + 1)]
    stretches = [peaks[start : max(end, start + 1)] for start, end in zip(edges, edges[1:], strict=False)]
    heights = [max((max(-low, high) for low, high in stretch), default=0.0) for stretch in stretches]
    step, loudest = (SIZE - 2 * MARGIN) / BARS, max(0.05, *heights)
    return "".join(
        f'<rect x="{MARGIN + (number + 0.2) * step:.2f}" y="{MIDDLE - tall / 2:.1f}" '
        f'width="{0.6 * step:.2f}" height="{tall:.1f}" rx="{0.3 * step:.2f}"/>'
        for number, tall in enumerate(max(step, TALLEST * height / loudest) for height in heights)
    )


def _title(title: str, font: Font) -> str:
    """The lines of the title, centred, in the largest size in which they have room."""
    size = next((size for size in FONT_SIZES if len(_wrapped(title, size)) <= MOST_LINES), FONT_SIZES[-1])
    lines = _wrapped(title, size)
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [f"{lines[MOST_LINES - 1]}…"]
    return "".join(
        f'<text x="{SIZE // 2}" y="{TITLE_PLACE + number * size * 1.2:.0f}" text-anchor="middle" font-size="{size}" '
        f'font-weight="700" fill="#fff" font-family="{escape(font.family)}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )


def _wrapped(title: str, size: int) -> list[str]:
    """The title in lines. A word that is too long for a line is cut, as are scripts without spaces."""
    lines, room = [""], (SIZE - 2 * MARGIN) / size
    for word in title.split(" "):
        if lines[-1] and _width(f"{lines[-1]} {word}") > room:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
        while _width(lines[-1]) > room:
            fits = max(1, next(end for end in range(len(lines[-1])) if _width(lines[-1][: end + 1]) > room))
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return lines


def _width(text: str) -> float:
    """About the width of a text in a bold font, in units of its size; rather too much than too little."""
    return sum(
        1.1 if letter in "MW@%…" or unicodedata.east_asian_width(letter) in "WF" else 0.84 if letter.isupper() else 0.7
        for letter in text
    )


def main(shape: Path, target: Path) -> None:
    """Draw the cover for a waveform and the title on standard input."""
    title = sys.stdin.buffer.read().decode("utf-8", "replace")
    target.write_bytes(draw(json.loads(shape.read_text())["peaks"], title))


if __name__ == "__main__":
    give_way()
    main(Path(sys.argv[1]), Path(sys.argv[3]))
