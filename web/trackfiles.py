"""The files of tracks: found, made when they are wanted, and taken in when they are uploaded."""

from pathlib import Path

from derivatives import Derivatives
from errors import LedgerError, Malformed, NotFound, Undecodable
from models import Track, new_id
from repos import TrackRepository
from storage import Storage, publish_file
from web.uploads import Upload


class TrackFiles:
    """Finds the files of tracks, and gives tracks the files that are uploaded for them."""

    def __init__(self, storage: Storage, derivatives: Derivatives, limit: int) -> None:
        self.storage, self.derivatives, self.limit = storage, derivatives, limit

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

    def peaks(self, track: Track) -> Path:
        """Where the waveform of a track is; made when it is not. Raises as find() does."""
        return self.derivatives.get(self.find(track, None)[0], "peaks")

    def keep(self, track: Track, upload: Upload, wanted: str | None, if_match: list[int] | None) -> Track | None:
        """The track with the uploaded file; None when it is gone. The file it replaces goes after the commit.

        Raises Malformed for what is no sound or not the wanted one, Stale, and as Upload.save() does.
        """
        part = self.storage.part()
        try:
            upload.save(part, self.limit)
            kind, duration = self._settle(part, wanted)
            file = self.storage.folder("track", track.track_id) / f"{new_id()}.{kind}"
            publish_file(part, file)
        finally:
            part.unlink(missing_ok=True)
        return self._give(track, file, kind, duration, if_match)

    def _settle(self, part: Path, wanted: str | None) -> tuple[str, float]:
        """(wav or mp3, seconds) of what was uploaded, any other sound made a WAV."""
        try:
            found = self.derivatives.probe(part)
            if found["kind"] is None and wanted != "mp3":
                whole = self.storage.part()
                self.derivatives.encode(part, whole, "wav")
                whole.replace(part)
        except Undecodable as error:
            raise Malformed(f"The body is no sound that can be used: {str(error).replace(part.name, 'it')}.") from None
        kind = found["kind"] or "wav"
        if wanted not in (None, kind):
            raise Malformed(f"The body is {kind.upper()}, and format says {wanted}.", "format")
        return kind, found["duration"]

    def _give(self, track: Track, file: Path, kind: str, duration: float, if_match: list[int] | None) -> Track | None:
        name, path = f"file_path_{kind}", self.storage.relative(file)
        try:
            changed = TrackRepository().update(track.track_id, if_match, **{name: path, "duration": duration})
        except LedgerError:  # refused; after any other error the record may name the file
            self.storage.remove(path, [file.parent])
            raise
        if changed is None:
            self.storage.remove(path, [file.parent])
        else:
            self._remove_earlier(track, getattr(track, name))
        return changed

    def _remove_earlier(self, track: Track, name: str | None) -> None:
        """Remove an earlier upload; what a job made stays with the job."""
        path, folder = self.storage.find(name), self.storage.folder("track", track.track_id)
        if path is not None and folder in path.parents:
            self.storage.remove(path, [folder])
