"""Faults: what a check has found, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from files.storage import Storage
from settings import Settings

PAGE = 500


@dataclass(frozen=True)
class Fault:
    """name: a word that stays the same. about: an id or a path. Two faults with these are the same fault.

    path: the file that --fix moves into quarantine, if it does so.
    """

    name: str
    about: str
    advice: str = field(compare=False)
    path: Path | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The fault for JSON."""
        return {"fault": self.name, "about": self.about, "advice": self.advice}


class Place(NamedTuple):
    """What is checked: the bound database with these settings, and its storage folder."""

    settings: Settings
    storage: Storage


Find = Callable[[Place], Iterator[Fault]]
