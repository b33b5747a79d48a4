"""Plays a loop to an exact length: the beginning of the recording, then seam and body, repeated.

From the frame of the file that is the start of the seam, the file repeats itself after every round.
"""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.looper.pcm import Audio, Pcm
from studio.looper.seams import Seam, crossfaded, sides

FRAMES = 65_536  # of a block
FADE_IN, FADE_OUT = 2.0, 5.0  # seconds, for long loops
FADE_IN_SHARE, FADE_OUT_SHARE = 0.1, 0.25  # shares of the length, for short loops


def play(pcm: Pcm, seam: Seam, frames: int, intro: bool = True) -> Iterator[Audio]:
    """The loop as blocks, (frames, channels), with exactly this number of frames in total.

    It begins with the beginning of the recording; without intro, or if the seam would come too late, with the part that
    repeats.
    """
    joint = crossfaded(*sides(pcm, seam), pcm.rate)
    opening = stretch(pcm, beginning(seam, frames, intro), seam.end - seam.crossfade)
    rounds = chain.from_iterable(one_round(pcm, seam, joint) for _ in repeat(None))
    for block in chain(opening, rounds):
        yield block[:frames]
        frames -= len(block)
        if frames <= 0:
            return


def beginning(seam: Seam, frames: int, intro: bool) -> int:
    """The frame of the recording with which a loop of this number of frames begins."""
    return 0 if intro and seam.end < frames else seam.start


def repeating(seam: Seam, frames: int, intro: bool, fades: tuple[int, int] = (0, 0)) -> tuple[int, int] | None:
    """The frames of the file, (first, after the last), between which it repeats: as many whole rounds as there are.

    fades: the frames of the fade-in and of the fade-out. None if there is no whole round between them.
    """
    rising, falling = fades
    first = max(seam.start - beginning(seam, frames, intro), rising)
    rounds = (frames - falling - first) // seam.lag
    return (first, first + rounds * seam.lag) if rounds > 0 else None


def one_round(pcm: Pcm, seam: Seam, joint: Audio) -> Iterator[Audio]:
    """One round: the seam, then the music up to the next seam."""
    yield joint
    yield from stretch(pcm, seam.start, seam.end - seam.crossfade)


def stretch(pcm: Pcm, start: int, stop: int) -> Iterator[Audio]:
    """Frames start to stop of the recording, in blocks."""
    return (pcm.read(first, min(first + FRAMES, stop)) for first in range(start, stop, FRAMES))


def fade(blocks: Iterator[Audio], frames: int, rate: int) -> Iterator[Audio]:
    """The blocks of a loop with a fade at both ends; frames is the length of the loop."""
    rising, falling = fade_frames(frames, rate)
    done = 0
    for block in blocks:
        if done < rising or done + len(block) > frames - falling:
            places = np.arange(done, done + len(block))
            gains = swell(places / rising) * swell((frames - 1 - places) / falling)
            block = block * gains[:, None]
        done += len(block)
        yield block


def fade_frames(frames: int, rate: int) -> tuple[int, int]:
    """The frames of the fade-in and of the fade-out of a loop; frames is the length of the loop."""
    rising = max(1, min(round(FADE_IN * rate), round(FADE_IN_SHARE * frames)))
    return rising, max(1, min(round(FADE_OUT * rate), round(FADE_OUT_SHARE * frames)))


def swell(share: NDArray[Any]) -> NDArray[Any]:
    """Gains of a fade: 0 for the share 0, 1 for the share 1 and above. A raised cosine has no audible corner."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1)), np.float32)
