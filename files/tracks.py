"""Opens the sound files of tracks, makes a missing MP3, and replaces the sound by uploads."""

import json
import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

from database import AWAY, release_connection
from errors import LedgerError, NotFound
from files.derived import MP3, WAVEFORM, Derivatives, Recipe
from files.pending import announce
from files.publishing import publish_file
from files.refusals import storage_errors
from files.settling import settle
from files.storage import Storage, open_file
from files.uploads import Sound, Upload, Uploads
from models import Track, new_id
from repos import TrackRepository

log = logging.getLogger("ledger.storage")
OTHER = {"wav": "mp3", "mp3": "wav"}


class TrackFiles:
    """Opens the sound files of tracks, and stores uploads for tracks."""

    def __init__(self, storage: Storage, derivatives: Derivatives, uploads: Uploads) -> None:
        self.storage, self.derivatives, self.uploads = storage, derivatives, uploads

    def open(self, track: Track, kind: str | None) -> tuple[BinaryIO, str]:
        """(the sound of a track as an open file, its kind: wav or mp3). If kind is None, WAV comes before MP3.

        If the track has only a WAV, the MP3 is made from it. Raises NotFound, and BeingMade if the MP3 is not there.
        """
        path, kind = self._find(track, kind)
        file = open_file(path)
        if file is None:
            raise NotFound("The track's file is gone.")
        return file, kind

    def waveform(self, track: Track) -> dict[str, Any]:
        """What files.sound.waveform() returns for the sound of a track. Raises what open() raises."""
        path = self.derivatives.get(WAVEFORM, self._find(track, None)[0])
        try:
            shape: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise NotFound("The track's file is gone.") from None
        return shape

    def find(self, track: Track) -> Path:
        """The path of the WAV of a track, or else of its MP3. Raises NotFound."""
        return self._find(track, None)[0]

    def stored(self, track: Track) -> tuple[str, int] | None:
        """(the kind of the file that open() opens if no kind is asked for, its bytes); None if there is no file."""
        for kind, name in (("wav", track.file_path_wav), ("mp3", track.file_path_mp3)):
            path = self.storage.locate(name) if name else None
            with suppress(OSError):
                if path is not None and S_ISREG((status := path.lstat()).st_mode):
                    return kind, status.st_size
        return None

    def measured(self, track: Track) -> dict[str, Any] | None:
        """The same as waveform(), if it has been made already; else None."""
        with suppress(NotFound, FileNotFoundError):
            path = self.storage.derived(self._find(track, None)[0], WAVEFORM.suffix)
            shape: dict[str, Any] = json.loads(path.read_text())
            return shape
        return None

    def open_derived(self, track: Track, recipe: Recipe, kind: str = "wav") -> BinaryIO:
        """A file derived from the WAV or the MP3 of a track, open: from the one of this kind, if the track has both.

        If the recipe has a SHA-256, it is derived from the file that has it. Raises NotFound, and BeingMade if the
        derived file is not there.
        """
        self._find(track, None)  # raises NotFound
        file = open_file(self.derivatives.get(recipe, *self._files(track, kind)))
        if file is None:
            raise NotFound("The track's file is gone.")
        return file

    def read_derived(self, track: Track, recipe: Recipe) -> Any:
        """The content of a derived JSON file. Raises what open_derived() raises."""
        with self.open_derived(track, recipe) as file:
            return json.load(file)

    def replace(self, track: Track, upload: Upload, kind: str | None, if_match: list[int] | None) -> Track | None:
        """Make an upload the only sound of a track. Returns the changed track, or None if it was deleted.

        Raises Stale, StorageFull, StorageUnusable, and what Uploads.received() raises.
        """
        with storage_errors(), self.uploads.received(upload, kind) as sound:
            return self._publish(track, sound, if_match)

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

    def _files(self, track: Track, kind: str = "wav") -> list[Path]:
        """The paths of the sound files that a track has, the one of this kind first."""
        names = {"wav": track.file_path_wav, "mp3": track.file_path_mp3}
        return [path for name in (names[kind], names[OTHER[kind]]) if (path := self.storage.find(name))]

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
