"""Gives free memory back to the system. The allocator of Linux (glibc) keeps what many clients have used."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Give back what is free. It takes 0.5 to 7 ms, without the GIL. Does nothing without glibc."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
