"""Keeps the JSON of rows that are often read, by id and version, so that it is written once for each version.

A list of fifty takes half the time when its fragments are kept.
"""

from typing import Any

from records import rows
from records.rows import Row
from web.fragments import fragment

MOST = 2000  # fragments of one generation
MOST_BYTES = 4 * 1024 * 1024


class Kept:
    """Fragments of one model, in two generations: when the new one is full, it replaces the old one.

    So a fragment that is not read for a whole generation is dropped. A lock is not needed: the worst that two threads
    can do is to write a fragment twice.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._key, self._version = rows.key(model), rows.place(model, "updated_at")
        self._new: dict[str, tuple[int, bytes]] = {}
        self._old: dict[str, tuple[int, bytes]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def fragments(self, read: list[Row]) -> list[bytes]:
        """The fragments of these rows."""
        new, key, version = self._new, self._key, self._version
        texts = []
        for row in read:
            kept = new.get(row[key])
            texts.append(kept[1] if kept and kept[0] == row[version] else self._write(row))
        return texts

    def _write(self, row: Row) -> bytes:
        kept = self._old.get(row[self._key])
        if kept is None or kept[0] != row[self._version]:
            kept = (row[self._version], fragment(self.model, row))
        if self._bytes > MOST_BYTES or len(self._new) >= MOST:
            self._old, self._new, self._bytes = self._new, {}, 0
        self._new[row[self._key]] = kept
        self._bytes += len(kept[1])
        return kept[1]
