"""Receives uploads of sound: written to disk, decoded, and converted to WAV where that is needed."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from database import give_back_connection
from errors import Malformed, TooLarge, Undecodable
from files.derived import Derivatives
from files.storage import Storage

SAMPLE_BYTES = 2  # bytes of a sample in the WAV files that other kinds become


class Upload(Protocol):
    """The body of a request that uploads a file."""

    def save(self, part: Path, limit: int) -> None:
        """Write the body to a new file of at most limit bytes. Raises LedgerError, OSError."""


class Sound(NamedTuple):
    """A decoded upload: where it is, its kind (wav or mp3), its duration in seconds, its rate in Hz, its channels."""

    path: Path
    kind: str
    duration: float
    rate: int
    channels: int


class Uploads:
    """Receives uploads of at most limit bytes."""

    def __init__(self, storage: Storage, derivatives: Derivatives, limit: int) -> None:
        self.storage, self.derivatives, self.limit = storage, derivatives, limit

    @contextmanager
    def received(
        self, upload: Upload, kind: str | None = None, kept: Collection[str] = ("wav", "mp3")
    ) -> Iterator[Sound]:
        """An upload as a file that can be published in this block. After the block, the file is removed.

        kind: refuse any other kind. kept: the kinds that stay as they are; any other becomes WAV. Raises Malformed if
        the upload is not sound or of another kind, TooLarge, StorageFull, Busy, and what Upload.save() raises.
        """
        give_back_connection()  # an upload takes long, and other requests need the connection
        part, converted = self.storage.part(), self.storage.part()
        try:
            upload.save(part, self.limit)
            yield self._decode(part, converted, kind, kept)
        finally:
            part.unlink(missing_ok=True)
            converted.unlink(missing_ok=True)

    def _decode(self, part: Path, converted: Path, kind: str | None, kept: Collection[str]) -> Sound:
        try:
            facts = self.derivatives.probe(part)
            becomes = facts["kind"] if facts["kind"] in kept else "wav"
            if kind not in (None, becomes):
                raise Malformed(f"The body is {becomes.upper()}, and format says {kind}.", "format")
            path = part if facts["kind"] == becomes else self._convert(part, converted, facts)
        except Undecodable as error:
            raise Malformed(f"The body is no sound that can be used: {str(error).replace(part.name, 'it')}.") from None
        return Sound(path, becomes, facts["duration"], facts["rate"], facts["channels"])

    def _convert(self, part: Path, converted: Path, facts: dict[str, Any]) -> Path:
        if facts["frames"] * facts["channels"] * SAMPLE_BYTES > self.limit:
            raise TooLarge(f"The sound would take more than {self.limit} bytes as WAV (MAX_UPLOAD_MB).")
        self.derivatives.encode(part, converted, "wav")
        return converted
