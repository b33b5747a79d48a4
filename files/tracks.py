"""Opens the sound files of tracks, makes a missing MP3, and replaces the sound by uploads."""

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from database import AWAY, give_back_connection, release_connection
from errors import LedgerError, Malformed, NotFound, TooLarge, Undecodable
from files.derived import MP3, PEAKS, Derivatives, Recipe
from files.pending import announce
from files.publishing import publish_file
from files.refusals import storage_errors
from files.settling import settle
from files.storage import Storage, open_file
from models import Track, new_id
from repos import TrackRepository

log = logging.getLogger("ledger.storage")
OTHER = {"wav": "mp3", "mp3": "wav"}
SAMPLE_BYTES = 2  # bytes of a sample in the WAV files that other kinds become


class Sound(NamedTuple):
    """A decoded upload: where it is, its kind (wav or mp3) and its duration in seconds."""

    path: Path
    kind: str
    duration: float


class Upload(Protocol):
    """The body of a request that uploads a file."""

    def save(self, part: Path, limit: int) -> None:
        """Write the body to a new file of at most limit bytes. Raises LedgerError, OSError."""


class TrackFiles:
    """Opens the sound files of tracks, and stores uploads for tracks."""

    def __init__(self, storage: Storage, derivatives: Derivatives, limit: int) -> None:
        self.storage, self.derivatives, self.limit = storage, derivatives, limit

    def open(self, track: Track, kind: str | None) -> tuple[BinaryIO, str]:
        """(the sound of a track as an open file, its kind: wav or mp3). If kind is None, WAV comes before MP3.

        If the track has only a WAV, the MP3 is made from it. Raises NotFound, and BeingMade if the MP3 is not there.
        """
        path, kind = self._find(track, kind)
        file = open_file(path)
        if file is None:
            raise NotFound("The track's file is gone.")
        return file, kind

    def peaks(self, track: Track) -> dict[str, Any]:
        """The waveform of a track, as files.sound.peaks() returns it. Raises what open() raises."""
        path = self.derivatives.get(PEAKS, self._find(track, None)[0])
        try:
            waveform: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise NotFound("The track's file is gone.") from None
        return waveform

    def open_derived(self, track: Track, recipe: Recipe) -> BinaryIO:
        """A file derived from the WAV or the MP3 of a track, whichever has the SHA-256 of the recipe, open to read.

        Raises NotFound, and BeingMade if the derived file is not there.
        """
        self._find(track, None)  # raises NotFound
        file = open_file(self.derivatives.get(recipe, *self._files(track)))
        if file is None:
            raise NotFound("The track's file is gone.")
        return file

    def replace(self, track: Track, upload: Upload, kind: str | None, if_match: list[int] | None) -> Track | None:
        """Make an upload the only sound of a track. Returns the changed track, or None if it was deleted.

        Raises Malformed if the upload is not sound or of another kind, Stale, Busy, StorageFull, StorageUnusable, and
        what Upload.save() raises.
        """
        with storage_errors():
            return self._replace(track, upload, kind, if_match)

    def _find(self, track: Track, kind: str | None) -> tuple[Path, str]:
        """The path of a sound file of a track, and its kind."""
        names = {"wav": track.file_path_wav, "mp3": track.file_path_mp3}
        for candidate, name in names.items():
            path = self.storage.find(name) if kind in (None, candidate) else None
            if path is not None:
                return path, candidate
        wav = self.storage.find(track.file_path_wav) if kind == "mp3" else None
        if wav is None:
            kinds = kind.upper() if kind else "WAV or MP3"
            raise NotFound(f"The track has no {kinds} file in the storage folder: upload one with PUT.")
        return self.derivatives.get(MP3, wav), "mp3"

    def _files(self, track: Track) -> list[Path]:
        """The paths of the sound files that a track has, the WAV first."""
        names = (track.file_path_wav, track.file_path_mp3)
        return [path for name in names if (path := self.storage.find(name))]

    def _replace(self, track: Track, upload: Upload, kind: str | None, if_match: list[int] | None) -> Track | None:
        give_back_connection()  # an upload takes long, and other requests need the connection
        part, converted = self.storage.part(), self.storage.part()
        try:
            upload.save(part, self.limit)
            return self._publish(track, self._decode(part, converted, kind), if_match)
        finally:
            part.unlink(missing_ok=True)
            converted.unlink(missing_ok=True)

    def _decode(self, part: Path, converted: Path, kind: str | None) -> Sound:
        """Decode an upload. A file that is neither WAV nor MP3 is converted to WAV."""
        try:
            facts = self.derivatives.probe(part)
            path = part if facts["kind"] or kind == "mp3" else self._convert(part, converted, facts)
        except Undecodable as error:
            raise Malformed(f"The body is no sound that can be used: {str(error).replace(part.name, 'it')}.") from None
        decoded = facts["kind"] or "wav"
        if kind not in (None, decoded):
            raise Malformed(f"The body is {decoded.upper()}, and format says {kind}.", "format")
        return Sound(path, decoded, facts["duration"])

    def _convert(self, part: Path, converted: Path, facts: dict[str, Any]) -> Path:
        if facts["frames"] * facts["channels"] * SAMPLE_BYTES > self.limit:
            raise TooLarge(f"The sound would take more than {self.limit} bytes as WAV (MAX_UPLOAD_MB).")
        self.derivatives.encode(part, converted, "wav")
        return converted

    def _publish(self, track: Track, sound: Sound, if_match: list[int] | None) -> Track | None:
        """Put a sound in place, and let the record name it and no other.

        If the database goes away, it is unknown whether the record names the sound. Then the note stays for
        housekeeping.
        """
        file = self.storage.folder("track", track.track_id) / f"{new_id()}.{sound.kind}"
        paths = {f"file_path_{sound.kind}": self.storage.relative(file), f"file_path_{OTHER[sound.kind]}": None}
        before = self._files(track)
        note = announce(self.storage, file)
        try:
            publish_file(sound.path, file)
            changed = TrackRepository().update(track.track_id, if_match, duration=sound.duration, **paths)
        except (LedgerError, OSError):
            self._settle(note)
            raise
        self._settle(note, {path for path in before if path.is_relative_to(file.parent)})
        return changed

    def _settle(self, note: Path, replaced: Collection[Path] = ()) -> None:
        """Remove what is of no use any more. Where that fails, the answer stands, and housekeeping tries again."""
        try:
            settle(self.storage, note, replaced)
        except (*AWAY, OSError) as error:
            log.warning("what the upload %s made useless stays for an hour: %s", note.name, error)
            release_connection()
