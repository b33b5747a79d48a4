"""Copies the audio of the old service into the storage folder.

A copy has a name that depends only on its record and on the old name, and gets this name when it is complete and on
disk. So a run that was killed goes on where it was. The record is written later: it never names a missing file.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from files.publishing import publish_file
from files.refusals import storage_errors
from files.storage import Storage, open_file, safe_name
from maintenance.legacy.arrivals import Arrival
from models import Loop

PATHS = {"tracks": ("file_path_wav", "file_path_mp3"), "loops": ("result_path",)}
SUFFIXES = {"file_path_wav": ".wav", "file_path_mp3": ".mp3"}


class Audio:
    """The audio files of the old service. root: the folder with them, or None if they are not copied."""

    def __init__(self, storage: Storage, root: Path | None) -> None:
        self.storage, self.root = storage, root.resolve() if root else None
        self.copied = self.missing = 0

    def columns(self, arrival: Arrival, record: dict[str, Any] | None) -> list[str]:
        """The columns with paths that need a file; record: the columns of the record that is here already, or None.

        A record that was made from this row needs a file where it has none. Work that has not ended gets its files from
        its worker.
        """
        columns = PATHS.get(arrival.table, ())
        if record is None:
            return list(columns)
        is_at_work = record.get("status", Loop.statuses.completed) not in Loop.statuses.final
        if is_at_work or not arrival.has_become(record):
            return []
        return [column for column in columns if arrival.fields[column] and not self.storage.find(record[column])]

    def copies(self, arrival: Arrival, columns: list[str]) -> dict[str, str]:
        """The path of the copy that a record has in the storage folder, for each of these columns that has one."""
        if self.root is None:
            return {}
        targets = {column: self._target(arrival, column) for column in columns}
        present = {column: target for column, target in targets.items() if self.storage.find(target)}
        self.missing += len(targets) - len(present)
        return {column: self.storage.relative(target) for column, target in present.items()}

    def copy(self, arrival: Arrival, columns: list[str]) -> None:
        """Copy the files of a record, unless they are there already. Raises StorageFull and StorageUnusable."""
        for column in columns:
            source = self._source(arrival.fields[column])
            if source is not None:
                self._copy(source, self._target(arrival, column))

    def place(self, arrival: Arrival) -> None:
        """Let the paths of a record name files in the storage folder. A path that leads outside of it is dropped."""
        for column in PATHS.get(arrival.table, ()):
            name = arrival.fields[column]
            if name is not None:
                arrival.fields[column] = self._placed(arrival, column, name)

    def _placed(self, arrival: Arrival, column: str, name: str) -> str | None:
        target = self._target(arrival, column)
        if self._source(name) is not None and self.storage.find(target):
            return self.storage.relative(target)
        present = self.storage.find(name)
        if present is not None:
            return self.storage.relative(present)
        self.missing += 1
        if self.root is not None:
            arrival.keep(column, f"{column} names no file in the folder: {name!r:.200}")
            return None
        if _is_inside(name):
            return name
        arrival.keep(column, f"{column} leads out of the storage folder: {name!r:.200}")
        return None

    def _target(self, arrival: Arrival, column: str) -> Path:
        name = PurePosixPath(arrival.fields[column])
        suffix = SUFFIXES.get(column) or f".{arrival.fields['format'].lower()}"
        return (
            self.storage.folder(arrival.table.removesuffix("s"), arrival.record_id) / f"{safe_name(name.stem)}{suffix}"
        )

    def _source(self, name: str | None) -> Path | None:
        """The file that an old path names, below the root; None if there is none. Links are not followed.

        The root may be a copy: then the part of the path after the name of the root counts.
        """
        if not name or self.root is None or not _is_clean(name):
            return None
        parts = PurePosixPath(name).parts
        candidates = [Path(name)] if os.path.isabs(name) else [self.root / name]
        if self.root.name in parts:
            candidates.append(self.root.joinpath(*parts[parts.index(self.root.name) + 1 :]))
        return next((path for path in candidates if self._is_own_file(path)), None)

    def _is_own_file(self, path: Path) -> bool:
        assert self.root is not None
        with suppress(OSError, RuntimeError, ValueError):
            file = open_file(path) if path.is_relative_to(self.root) and path.resolve() == path else None
            if file is not None:
                file.close()
                return True
        return False

    def _copy(self, source: Path, target: Path) -> None:
        file = open_file(source)
        if file is None:
            return
        with file, storage_errors():
            if target.is_file() and target.stat().st_size == os.fstat(file.fileno()).st_size:
                return
            part = self.storage.part()
            try:
                with part.open("xb") as copy:
                    shutil.copyfileobj(file, copy, 1024 * 1024)
                publish_file(part, target)
            finally:
                part.unlink(missing_ok=True)
        self.copied += 1


def _is_clean(name: str) -> bool:
    return ".." not in PurePosixPath(name).parts


def _is_inside(name: str) -> bool:
    return _is_clean(name) and not os.path.isabs(name)
