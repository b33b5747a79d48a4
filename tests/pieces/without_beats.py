"""Classes of sound without beats: noise, wind, rain, pads, speech. Each function plays into an empty band."""

import numpy as np
from numpy.typing import NDArray

from tests.pieces.band import Band, Mono
from tests.pieces.timbres import TURN, Voice, detuned, fm, hertz, random_chords, saw, sine

SYLLABLE = (0.09, 0.32)  # seconds
FORMANTS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))  # Hz
FORMANT_WIDTH = 90.0  # Hz


def noise_with(band: Band, frames: int, gains: NDArray[np.float64] | None = None, slope: float = 0.0) -> Mono:
    """Noise whose power falls with frequency to the power of `slope`, standard deviation 1, (frames,).

    gains: one factor for each bin of the spectrum of size_for(frames) frames.
    """
    size = size_for(frames)
    bins = band.random.standard_normal((size // 2 + 1, 2), np.float32).view(np.complex64)[:, 0]
    factors = np.maximum(20.0, np.fft.rfftfreq(size, 1 / band.rate)) ** (-slope / 2)
    if gains is not None:
        factors = factors * gains
    sound = np.fft.irfft(bins * factors.astype(np.float32), size)[:frames]
    return np.asarray(sound / sound.std(), np.float32)


def size_for(frames: int) -> int:
    """A size of at least so many frames whose FFT is fast: a power of two, or three quarters of one."""
    whole = 1 << (frames - 1).bit_length()
    return whole * 3 // 4 if whole * 3 // 4 >= frames else whole


def wandering_curve(band: Band, low: float, high: float, seconds: float) -> Mono:
    """A smooth random curve through the whole recording with a new value every few seconds, (frames,)."""
    count = int(band.seconds / seconds) + 3
    values = band.random.uniform(low, high, count)
    fine = np.interp(np.arange(0, count - 1, 1 / 64), np.arange(count), values)
    smooth = np.convolve(np.pad(fine, 32, mode="edge"), np.hanning(65) / np.hanning(65).sum(), "same")[32:-32]
    places = np.arange(len(band.sound), dtype=np.float32) / np.float32(band.rate * seconds / 64)
    return np.asarray(np.interp(places, np.arange(len(smooth)), smooth), np.float32)


def white(band: Band, index: int) -> None:
    """White noise, other on every channel."""
    band.sound += band.random.standard_normal(band.sound.shape, np.float32)


def pink(band: Band, index: int) -> None:
    """Pink noise, other on every channel."""
    for side in band.sound.T:
        side += noise_with(band, len(side), slope=1.0)


def wind(band: Band, index: int) -> None:
    """Bands of noise that swell and fade slowly."""
    frames = len(band.sound)
    pitches = np.maximum(1.0, np.fft.rfftfreq(size_for(frames), 1 / band.rate))
    for middle in band.random.uniform(150, 1500, 3):
        gains = np.exp(-0.5 * (np.log2(pitches / middle) / 0.35) ** 2)
        gust = noise_with(band, frames, gains) * wandering_curve(band, 0.05, 1.0, band.random.uniform(1.5, 4))
        band.play(0, gust, 1.0, band.random.uniform(-0.6, 0.6))


def rain(band: Band, index: int) -> None:
    """Hundreds of drops a second, of random strength, and some noise."""
    frames, size = len(band.sound), size_for(len(band.sound) + band.rate // 50)
    drops = np.zeros(frames, np.float32)
    count = int(band.seconds * band.random.uniform(100, 1500))
    np.add.at(drops, band.random.integers(0, frames, count), band.random.pareto(2.5, count).astype(np.float32))
    time = band.time(0.02)
    drop = np.exp(-900 * time) * np.sin(TURN * 3500 * time)
    wet = np.fft.irfft(np.fft.rfft(drops, size) * np.fft.rfft(drop, size), size)[:frames].astype(np.float32)
    band.play(0, wet / wet.std(), 1.0, 0.2)
    band.play(0, noise_with(band, frames, slope=0.5), band.random.uniform(0.2, 1.0), -0.2)


def overlapping_pads(band: Band, index: int) -> None:
    """Chords that swell and fade, one over the other, at irregular times."""
    swelling_chords(band, (sine, detuned, fm)[index % 3], (5, 9), 0.5)


def changing_pads(band: Band, index: int) -> None:
    """Chords of saws or detuned sines that fade into one another slowly, at irregular times."""
    swelling_chords(band, (saw, detuned)[index % 2], (3, 6), 0.75)


def swelling_chords(band: Band, voice: Voice, length: tuple[float, float], spacing: float) -> None:
    """Chords of random length (seconds), each of which starts after `spacing` of the one before."""
    when, number, chords = -3.0, 0, random_chords(band)
    while when < band.seconds:
        seconds = band.random.uniform(*length)
        swell = np.sin(np.linspace(0, np.pi, round(seconds * band.rate), dtype=np.float32)) ** 2
        early = max(0, round(-when * band.rate))
        for pan, midi in zip((-0.5, 0.1, 0.5, -0.1), chords[number % len(chords)], strict=True):
            tone = voice(band, hertz(midi + 12), len(swell)) * swell
            band.play(max(0.0, when), tone[early:], 0.1, pan)
        when, number = when + spacing * seconds, number + 1


def drone(band: Band, index: int) -> None:
    """A few tones of one chord; each gets louder and softer slowly."""
    lowest = band.random.uniform(38, 50)
    for number, midi in enumerate((0, 7, 12, 19, 24.1, 28)):
        tone = sine(band, hertz(lowest + midi), len(band.sound))
        band.play(0, tone * wandering_curve(band, 0.1, 1.0, band.random.uniform(2, 6)), 0.1, number / 5 - 0.5)


def speech(band: Band, index: int) -> None:
    """Syllables of random length, pitch and vowel, some with a hiss before them; and pauses."""
    when, voice = 0.2, band.random.uniform(90, 220)
    while when < band.seconds - 1:
        if band.random.random() < 0.4:
            band.play(when, hiss(band), band.random.uniform(0.03, 0.1))
            when += 0.08
        seconds = band.random.uniform(*SYLLABLE)
        band.play(when, syllable(band, voice * band.random.uniform(0.8, 1.3), seconds), band.random.uniform(0.5, 1))
        when += seconds * band.random.uniform(0.9, 1.1)
        if band.random.random() < 0.15:
            when += band.random.uniform(0.15, 1.2)


def hiss(band: Band) -> Mono:
    """An s or sh of 80 ms."""
    frames = round(0.08 * band.rate)
    is_high = np.fft.rfftfreq(size_for(frames), 1 / band.rate) > band.random.uniform(1500, 3500)
    return np.asarray(noise_with(band, frames, is_high.astype(np.float64)) * np.hanning(frames).astype(np.float32))


def syllable(band: Band, pitch: float, seconds: float) -> Mono:
    """Pulses with a falling or rising pitch, through the three formants of a vowel; the largest sample is 1."""
    frames = round(seconds * band.rate)
    glide = np.linspace(1, band.random.uniform(0.8, 1.15), frames)
    cycles = np.floor(np.cumsum(pitch * glide / band.rate))
    pulses = np.diff(cycles, prepend=0.0)
    vowel = np.array(FORMANTS[band.random.integers(len(FORMANTS))]) * band.random.uniform(0.9, 1.1)
    frequencies = np.fft.rfftfreq(size_for(frames), 1 / band.rate)
    response = (1 / (1 + ((frequencies[:, None] - vowel) / FORMANT_WIDTH) ** 2)) @ (1.0, 0.5, 0.25)
    tone = np.fft.irfft(np.fft.rfft(pulses, size_for(frames)) * response)[:frames] * np.sqrt(np.hanning(frames))
    return np.asarray(tone / np.abs(tone).max(), np.float32)
