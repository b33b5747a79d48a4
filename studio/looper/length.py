"""The length of the file of a loop in frames: that of the ordered seconds or bars, or whole rounds."""

from files.sound import Unusable
from studio.looper.analysis import Analysis, in_words
from studio.looper.bars import NO_BEATS, Bars, Length

OFF = 0.25  # beats; a whole number of rounds is nearer to the bars than this, or it has another number of beats


def file_frames(analysis: Analysis, length: Length, intro: bool) -> int:
    """The frames of the file. Without intro, it has whole rounds, as many as are nearest to the ordered length.

    Raises Unusable if a loop in bars has no beats, has less than one round, or no whole rounds without intro.
    """
    if isinstance(length, Bars):
        return bars_frames(analysis, length, intro)
    frames, lag = length * analysis.context.pcm.rate, analysis.seam.lag
    return round(frames) if intro else max(1, round(frames / lag)) * lag


def bars_frames(analysis: Analysis, bars: Bars, intro: bool) -> int:
    """The frames of so many bars in the tempo of the loop. Raises Unusable."""
    beat, lag = analysis.beat_frames(), analysis.seam.lag
    if beat is None or analysis.beats_per_bar is None:
        raise Unusable(NO_BEATS)
    frames = bars.count * analysis.beats_per_bar * beat
    if frames < lag - OFF * beat:
        raise Unusable(f"the part between start and end is longer than {in_words(bars)}: order more bars")
    whole = round(frames / lag) * lag
    if intro:
        return round(frames)
    if abs(frames - whole) > OFF * beat:
        raise Unusable(
            f"without intro, a loop has whole rounds: {in_words(bars)} of {analysis.beats_per_bar} beats "
            f"are no whole number of rounds of {lag / beat:.0f} beats"
        )
    return whole
