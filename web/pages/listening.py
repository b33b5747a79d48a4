"""Template filters: the address of a sound, and the part of a loop that repeats."""

from models import Loop, Track
from web.pages.wording import plausible


def sound_url(track: Track) -> str:
    """The URL of the audio of a track: its MP3 file if it has one, else its WAV file."""
    return f"/api/tracks/{track.track_id}/audio{'?format=mp3' if track.file_path_mp3 else ''}"


def repeat(loop: Loop) -> str:
    """The part of the file of a loop that repeats without a gap, as 'start,end' in seconds; '' if no part does."""
    start, end = (plausible(loop.analysis.get(name)) for name in ("loop_start", "loop_end"))
    return f"{start},{end}" if start is not None and end is not None and start < end else ""


FILTERS = {function.__name__: function for function in (repeat, sound_url)}
