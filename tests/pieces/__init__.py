"""Generated pieces of music to measure loops with: single songs, and classes of pieces, each from a seed."""

from tests.pieces.band import Audio, Band, Piece
from tests.pieces.classes import CLASSES, generate
from tests.pieces.long import drums, write_long
from tests.pieces.songs import EVEN, RHYTHMIC, noise, short, wandering

__all__ = [
    "CLASSES",
    "EVEN",
    "RHYTHMIC",
    "Audio",
    "Band",
    "Piece",
    "drums",
    "generate",
    "noise",
    "short",
    "wandering",
    "write_long",
]
