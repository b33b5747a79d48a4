"""What the methods share between calls: the counts of artists and genres, and where the pages of lists ended."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from flask import current_app

from records.overview import Overview, overview
from repos import Page

NAME = "subsonic"
SHARE = 100  # counting takes at most a hundredth of the time
ENDS = 1000  # ends of pages that are kept, at most
KEPT_SECONDS = 600.0  # so long: after that, the list has perhaps changed too much
Item = TypeVar("Item")
End = tuple[Any, str]


class Catalogue:
    """The counts and the ends of pages of one app."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._overview, self._fresh_until = Overview(), 0.0
        self._ends: dict[Hashable, tuple[float, End]] = {}

    def overview(self) -> Overview:
        """The artists and the genres. All tracks are read for it, so the answer is kept a hundred times as long."""
        with self._lock:
            begun = time.monotonic()
            if begun >= self._fresh_until:
                self._overview = overview()
                now = time.monotonic()
                self._fresh_until = now + SHARE * (now - begun)
            return self._overview

    def read(
        self, name: Hashable, page: Page, read: Callable[[Page], Sequence[Item]], place: Callable[[Item], End]
    ) -> Sequence[Item]:
        """One page of a list. A database would walk the list up to the offset.

        So where a page ends is kept: players read one page after another, and the next page begins there. name: the
        list. place: the value of Page.after for the items that follow an item.
        """
        items = read(self._started(name, page))
        if items:
            if len(self._ends) >= ENDS:
                self._ends.clear()
            self._ends[name, page.offset + len(items)] = time.monotonic(), place(items[-1])
        return items

    def _started(self, name: Hashable, page: Page) -> Page:
        """The page without an offset, if it is kept where the page before it ended."""
        since, end = self._ends.get((name, page.offset), (0.0, None))
        if end is None or not page.offset or time.monotonic() - since > KEPT_SECONDS:
            return page
        return replace(page, offset=0, after=end)


def catalogue() -> Catalogue:
    """The catalogue of the current app."""
    return cast(Catalogue, current_app.extensions[NAME])
