"""Template filters: the address of a sound, the length of a loop, and the part of it that repeats."""

from models import Loop, Track
from web.pages.wording import plausible

RATES = range(8_000, 96_001)  # Hz; browsers take these


def sound_url(track: Track) -> str:
    """The URL of the audio of a track: its MP3 file if it has one, else its WAV file."""
    return f"/api/tracks/{track.track_id}/audio{'?format=mp3' if track.file_path_mp3 else ''}"


def seconds(loop: Loop) -> float | None:
    """The seconds of the file of a loop. Without intro it has whole rounds, so it may differ from the order."""
    return plausible(loop.analysis.get("duration")) or loop.duration


def repeat(loop: Loop) -> str:
    """The part of the file of a loop that repeats without a gap; '' if no part does.

    It is 'start,end' in seconds, or 'start,end,rate' with the sample rate in Hz. A script may have written any values.
    """
    start, end, rate = (plausible(loop.analysis.get(name)) for name in ("loop_start", "loop_end", "rate"))
    if start is None or end is None or start >= end:
        return ""
    return f"{start},{end},{rate}" if rate in RATES else f"{start},{end}"


FILTERS = {function.__name__: function for function in (repeat, seconds, sound_url)}
