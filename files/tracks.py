"""The files of tracks: found, made when they are wanted, and taken in when they are uploaded."""

import json
import logging
import threading
from pathlib import Path
from typing import Any, Protocol

from database import give_back_connection
from errors import Busy, LedgerError, Malformed, NotFound, StorageFull, TooLarge, Undecodable
from files.deletion import named
from files.derived import Derivatives
from files.storage import Storage, is_old, publish_file
from models import Track, new_id
from repos import TrackRepository

log = logging.getLogger("ledger.web")


class Upload(Protocol):
    """A file that is being received."""

    def save(self, part: Path, limit: int) -> None:
        """Write it to a new file of at most so many bytes."""


class TrackFiles:
    """Finds the files of tracks, and gives tracks the files that are uploaded for them."""

    def __init__(
        self, storage: Storage, derivatives: Derivatives, limit: int, uploads: threading.BoundedSemaphore
    ) -> None:
        self.storage, self.derivatives, self.limit, self.uploads = storage, derivatives, limit, uploads

    def find(self, track: Track, wanted: str | None) -> tuple[Path, str]:
        """Where the sound of a track is, and its kind, wav or mp3: the wanted one, else WAV before MP3.

        An MP3 is made when there is a WAV alone. Raises NotFound, Undecodable, Busy, StorageFull.
        """
        names = {"wav": track.file_path_wav, "mp3": track.file_path_mp3}
        for kind, name in names.items():
            path = self.storage.find(name) if wanted in (None, kind) else None
            if path is not None:
                return path, kind
        wav = self.storage.find(track.file_path_wav) if wanted == "mp3" else None
        if wav is None:
            kinds = wanted.upper() if wanted else "WAV or MP3"
            raise NotFound(f"The track has no {kinds} file in the storage folder: upload one with PUT.")
        return self.derivatives.get(wav, "mp3"), "mp3"

    def peaks(self, track: Track) -> dict[str, Any]:
        """The waveform of a track, see audio.peaks; made when it is not there. Raises as find() does."""
        try:
            found: dict[str, Any] = json.loads(self.derivatives.get(self.find(track, None)[0], "peaks").read_text())
        except FileNotFoundError:
            raise NotFound("The track's file is gone.") from None
        return found

    def keep(self, track: Track, upload: Upload, wanted: str | None, if_match: list[int] | None) -> Track | None:
        """The track with the uploaded file; None when it is gone. The file it replaces goes after the commit.

        Raises Malformed for what is no sound or not the wanted one, Stale, and as Upload.save() does.
        """
        if not self.uploads.acquire(blocking=False):
            raise Busy("Too many files are being uploaded just now: send this again in a moment.")
        try:
            return self._keep(track, upload, wanted, if_match)
        except OSError as error:
            log.error("an upload cannot be kept: %s", error)
            raise StorageFull("The storage folder takes no more: free some space, then send this again.") from None
        finally:
            self.uploads.release()

    def _keep(self, track: Track, upload: Upload, wanted: str | None, if_match: list[int] | None) -> Track | None:
        give_back_connection()  # others need it, while this one takes its time
        part, whole = self.storage.part(), self.storage.part()
        try:
            upload.save(part, self.limit)
            kind, duration = self._settle(part, whole, wanted)
            file = self.storage.folder("track", track.track_id) / f"{new_id()}.{kind}"
            publish_file(whole if whole.exists() else part, file)
        finally:
            part.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)
        return self._give(track, file, kind, duration, if_match)

    def _settle(self, part: Path, whole: Path, wanted: str | None) -> tuple[str, float]:
        """(wav or mp3, seconds) of what was uploaded; any other sound is made a WAV, whole."""
        try:
            found = self.derivatives.probe(part)
            if found["kind"] is None and wanted != "mp3":
                if found["frames"] * found["channels"] * 2 > self.limit:
                    raise TooLarge(f"The sound would take more than {self.limit} bytes as WAV (MAX_UPLOAD_MB).")
                self.derivatives.encode(part, whole, "wav")
        except Undecodable as error:
            raise Malformed(f"The body is no sound that can be used: {str(error).replace(part.name, 'it')}.") from None
        kind = found["kind"] or "wav"
        if wanted not in (None, kind):
            raise Malformed(f"The body is {kind.upper()}, and format says {wanted}.", "format")
        return kind, found["duration"]

    def _give(self, track: Track, file: Path, kind: str, duration: float, if_match: list[int] | None) -> Track | None:
        """Have the record name it. After an error other than a refusal the record may name it, so it stays."""
        name, path = f"file_path_{kind}", self.storage.relative(file)
        try:
            changed = TrackRepository().update(track.track_id, if_match, **{name: path, "duration": duration})
        except LedgerError:
            self.storage.remove([file])
            raise
        self._remove_earlier(track.track_id, getattr(track, name))
        return changed

    def _remove_earlier(self, track_id: str, replaced: str | None) -> None:
        """Remove earlier uploads that no record names; what a job made stays with the job.

        One that is new and not named may be about to be: another upload is at work.
        """
        old = self.storage.find(replaced)
        found = {path for path in self.storage.files("track", track_id) if path == old or is_old(path)}
        self.storage.remove(found - named(self.storage, found))
