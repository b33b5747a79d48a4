"""How long work tells how far it is: by a function that a command draws as a bar, and a thread ignores."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]  # (what is being done, how much of it is done, how much there is)


def silent(what: str, done: int, total: int) -> None:
    """A Report for work that nobody watches."""
