"""Makes loops of generated pieces in this process, without the file of the loop, and measures the first seam."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files.sound import Source
from studio.looper.analysis import Choice, analyse
from studio.looper.arrangement import play
from studio.looper.pcm import Pcm, decode
from studio.looper.seams import Seam
from tests.listening import Audio, Join, beat_error, dip, flux_ratio, has_whole_bars, inner_step_ratio, step_ratio
from tests.pieces import Piece, generate

LOOP_SECONDS = 60.0  # longer than every piece, so that the whole piece may be used
AFTER_SECONDS = 1.0  # rendered after the seam
LARGEST_STEP, LARGEST_FLUX, DEEPEST_DIP = 1.0, 1.2, -3.0  # of a seam that nobody should hear
LARGEST_INNER_STEP = 1.42  # a crossfade of constant power can add two sounds up to the square root of 2
LATEST_GOOD = 3.0  # milliseconds by which a beat of a good loop may be early or late
CHANGES = ("poor", "no beat")  # labels for audible changes
BEATLESS = ("texture", "no beat")  # words that promise no beat


@dataclass(frozen=True)
class Quality:
    """What there is to hear at the seam of one loop.

    word: the quality that the looper claims. beat: milliseconds by which the beat is early or late, None without beats.
    has_whole_bars: False if the music goes on in another beat of the bar.
    step, inner_step and flux: ratios to the original, dip: in dB (tests/listening.py). lag: seconds of one round.
    """

    name: str
    word: str
    beat: float | None
    has_whole_bars: bool
    step: float
    inner_step: float
    flux: float
    dip: float
    lag: float

    @property
    def is_clean(self) -> bool:
        """True if nobody should hear the seam, apart from the beat; or a change that the word does not hide."""
        is_smooth = self.step <= LARGEST_STEP and self.inner_step <= LARGEST_INNER_STEP
        same_sound = self.word in CHANGES or self.flux <= LARGEST_FLUX
        return is_smooth and same_sound and self.dip >= DEEPEST_DIP

    @property
    def sounds_good(self) -> bool:
        """True if a loop with these figures may be called good."""
        on_beat = self.has_whole_bars and (self.beat is None or self.beat <= LATEST_GOOD)
        return on_beat and self.step <= LARGEST_STEP and self.flux <= LARGEST_FLUX


def quality_of(name: str, index: int, seed: int = 0) -> Quality:
    """The quality of the loop of one generated piece."""
    with tempfile.TemporaryDirectory() as folder:
        return measured(generate(name, index, seed), Path(folder))


@contextmanager
def decoded(piece: Piece, folder: Path) -> Iterator[Pcm]:
    """A piece as the looper reads it; the folder is for temporary files."""
    with Source(piece.save(folder)) as source, decode(source, folder / "pcm", piece.name, lambda share: None) as pcm:
        yield pcm


def measured(piece: Piece, folder: Path) -> Quality:
    """The quality of the loop of a piece; the folder is for temporary files."""
    with decoded(piece, folder) as pcm:
        analysis = analyse(pcm, LOOP_SECONDS, Choice(), lambda share: None)
        return quality_at_seam(piece, analysis.record()["quality"], first_join(pcm, analysis.seam))


def quality_at_seam(piece: Piece, word: str, join: Join) -> Quality:
    """The quality of a loop of a piece, from what there is to hear at its seam."""
    start, end = join.start / join.rate, join.end / join.rate
    beat = None if piece.beats is None else 1000 * beat_error(piece.beats, start, end)
    is_whole = piece.beats is None or has_whole_bars(piece.beats, piece.bar, start, end)
    steps = step_ratio(join), inner_step_ratio(join)
    return Quality(piece.name, word, beat, is_whole, *steps, flux_ratio(join), dip(join), end - start)


def first_join(pcm: Pcm, seam: Seam) -> Join:
    """The recording, and its loop up to a second after the first seam."""
    frames = seam.end + round(AFTER_SECONDS * pcm.rate)
    looped: Audio = np.concatenate(list(play(pcm, seam, frames)))
    return Join(pcm.read(0, pcm.frames), looped, pcm.rate, seam.start, seam.end, seam.crossfade)
