"""ZIP archives of files, made while they are sent: only one block is in memory."""

import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Self, cast

from errors import NotFound
from files.storage import open_file
from files.transfer import BLOCK, Transfer

RIGHTS = 0o644 << 16
FIRST_YEAR, LAST_YEAR = 1980, 2107  # of a moment in an archive
# Bytes that zipfile writes for an entry: before its data, after its data, and in the list at the end; and once.
HEAD, DESCRIPTOR, LISTED, END = 30, 16, 46, 22
LARGE_HEAD, LARGE_DESCRIPTOR, LARGE_FIELD, FIELDS, LARGE_END = 20, 8, 8, 4, 56 + 20  # what ZIP64 adds


class Texts:
    """Texts for an archive, in a file without a name: only the last one is in memory, and a kill leaves nothing."""

    def __init__(self, folder: Path) -> None:
        self._file = cast(BinaryIO, TemporaryFile(dir=folder))  # noqa: SIM115 (close() closes it)
        self._size = 0

    def add(self, text: str) -> "Part":
        """Append a text as UTF-8. Half of a character outside the BMP becomes a question mark. Raises OSError."""
        data = text.encode("utf-8", "replace")
        self._file.write(data)
        self._size += len(data)
        return Part(self, self._size - len(data), self._size)

    def all(self) -> "Part":
        """All texts, one after another."""
        return Part(self, 0, self._size)

    def read(self, start: int, size: int) -> bytes:
        """Bytes from this place on."""
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


@dataclass
class Part:
    """Bytes of the file of texts, from start up to stop, that can be read once."""

    texts: Texts
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.stop - self.start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The file of the texts stays open for the others."""

    def read(self, size: int) -> bytes:
        """The next bytes."""
        block = self.texts.read(self.start, min(size, self.size))
        self.start += len(block)
        return block


@dataclass(frozen=True)
class Entry:
    """A file of an archive. source: its path, its bytes, or a text. size: in bytes. name: with / between folders."""

    name: str
    source: Path | bytes | Part
    size: int
    moment: datetime

    @property
    def is_large(self) -> bool:
        """True if its size may need ZIP64: the same rule as in zipfile."""
        return self.size * 1.05 > zipfile.ZIP64_LIMIT

    def info(self) -> zipfile.ZipInfo:
        """Its description for zipfile."""
        year = min(max(self.moment.year, FIRST_YEAR), LAST_YEAR)
        info = zipfile.ZipInfo(self.name, (year, *self.moment.timetuple()[1:6]))
        info.file_size, info.external_attr = self.size, RIGHTS
        return info

    def open(self) -> BinaryIO | Part:
        """Its data. Raises NotFound if its file is gone."""
        if isinstance(self.source, Part):
            return self.source
        file = BytesIO(self.source) if isinstance(self.source, bytes) else open_file(self.source)
        if file is None:
            raise NotFound(f"{self.name} is gone.")
        return file


class Bundle(Transfer):
    """An archive with these entries, not compressed: sound hardly becomes smaller. texts: closed at the end.

    read() raises NotFound if a file is gone or has another size than its entry says. So the transfer breaks, and the
    client does not take what it has for the whole archive.
    """

    def __init__(self, entries: Sequence[Entry], texts: Sequence[Texts] = ()) -> None:
        self._texts = texts
        self.size = self.left = size_of(entries)
        self._written = _Written()
        self._steps = _write(self._written, entries)

    def read(self, size: int = BLOCK) -> bytes:
        """The next bytes; b"" at the end. Raises NotFound, OSError."""
        try:
            while self._written.length < size and self.left > self._written.length:
                next(self._steps)
        except (StopIteration, NotFound, OSError) as error:
            self._written = _Written()  # what zipfile has written after the error is of no use
            raise error if isinstance(error, OSError) else NotFound(str(error) or "The archive ends here.") from None
        block = self._written.take(size)
        self.left -= len(block)
        return block

    def __iter__(self) -> Self:
        return self

    def close(self) -> None:
        """Close the file that is being sent, and the texts."""
        self._steps.close()
        for text in self._texts:
            text.close()

    __del__ = close


def size_of(entries: Sequence[Entry]) -> int:
    """The bytes of an archive with these entries, as zipfile writes it when it cannot go back."""
    limit, offset, listed = zipfile.ZIP64_LIMIT, 0, 0
    for entry in entries:
        name, is_large = len(entry.name.encode()), entry.is_large
        fields = 2 * (entry.size > limit) + (offset > limit)
        listed += LISTED + name + (FIELDS + fields * LARGE_FIELD if fields else 0)
        offset += HEAD + name + is_large * LARGE_HEAD + entry.size + DESCRIPTOR + is_large * LARGE_DESCRIPTOR
    is_large = len(entries) > zipfile.ZIP_FILECOUNT_LIMIT or offset > limit or listed > limit
    return offset + listed + END + is_large * LARGE_END


def _write(target: "_Written", entries: Sequence[Entry]) -> Generator[None, None, None]:
    """Write an archive in steps of a block."""
    with zipfile.ZipFile(target, "w") as archive:  # type: ignore[call-overload]
        for entry in entries:
            with entry.open() as source, archive.open(entry.info(), "w") as copy:
                left = entry.size
                while block := source.read(min(BLOCK, left + 1)):
                    left -= copy.write(block)
                    yield
            if left:
                raise NotFound(f"{entry.name} has changed.")
            yield
    yield


class _Written:
    """What is written and not taken yet. It has no tell(), so zipfile does not try to go back."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def length(self) -> int:
        return len(self._bytes)

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def flush(self) -> None:
        """Nothing is behind it."""

    def take(self, size: int) -> bytes:
        block = bytes(self._bytes[:size])
        del self._bytes[:size]
        return block
