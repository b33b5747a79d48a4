"""Songs, albums and artists as the protocol writes them. A track is a song, and its job is the album."""

from typing import Any

from models import Job, Track
from records.albums import Album, Song
from records.overview import Counted
from web.current import services
from web.downloads import TYPES, file_name
from web.subsonic.artists import Artist, artist_of
from web.subsonic.calls import Fields
from web.titles import job_name, metadata_text, name_of_its_own

LONGEST = 200  # characters of a name: that of a job may be a long prompt
REFERENCE = -18.0  # LUFS of a song whose gain is 0 dB, by ReplayGain 2.0


def album_name(job: Job) -> str:
    """The name of an album: that of the metadata of its job, its prompt, or its id."""
    return _brief(job_name(job))


def title_of(track: Track, job: Job) -> str:
    """The title of a song: its own name, or that of its album. The latter has the number of the take, if several."""
    own = name_of_its_own(track, job)
    if own is not None:
        return _brief(own)
    number = f" (take {track.take})" if track.take is not None and job.takes > 1 else ""
    return f"{album_name(job)}{number}"


def song(track: Track, job: Job) -> Fields:
    """A song as a Child of the protocol. `starred` is when the track last changed: no other time is stored."""
    artist, title, genre = artist_of(track, job), title_of(track, job), genre_of(track, job)
    return {
        "id": track.track_id,
        "parent": job.job_id,
        "isDir": False,
        "title": title,
        "album": album_name(job),
        "artist": artist.name,
        **({"track": track.take} if track.take is not None else {}),
        "year": track.created_at.year,
        **_genre(genre),
        "coverArt": track.track_id,
        **_file(track, title),
        **({"duration": round(track.duration)} if track.duration else {}),
        "created": _time(track.created_at),
        **({"starred": _time(track.updated_at)} if track.starred else {}),
        "albumId": job.job_id,
        "artistId": artist.id,
        "type": "music",
        "mediaType": "song",
        "isVideo": False,
        **_artists(artist),
    }


def measured_song(track: Track, job: Job) -> Fields:
    """The same, with the gain and the peak of the song if its loudness is measured. This reads a file."""
    shape = services().track_files.measured(track)
    if shape is None or shape["loudness"] is None:
        return {**song(track, job), "replayGain": {}}
    peak = max((abs(value) for pair in shape["peaks"] for value in pair), default=0.0)
    return {
        **song(track, job),
        "replayGain": {"trackGain": round(REFERENCE - shape["loudness"], 2), "trackPeak": round(peak, 3)},
    }


def songs(listed: list[Song]) -> list[Fields]:
    """These songs."""
    return [song(track, job) for track, job in listed]


def album(listed: Album) -> Fields:
    """An album as AlbumID3."""
    job, artist = listed.job, artist_of(listed.lead, listed.job)
    return {
        "id": job.job_id,
        "name": album_name(job),
        "artist": artist.name,
        "artistId": artist.id,
        "coverArt": job.job_id,
        "songCount": listed.songs,
        "duration": round(listed.seconds),
        "created": _time(job.created_at),
        "year": job.created_at.year,
        **_genre(genre_of(listed.lead, job)),
        **_artists(artist),
    }


def folder(listed: Album) -> Fields:
    """An album as a Child, for players that browse folders."""
    fields = album(listed)
    name, artist_id = fields["name"], fields["artistId"]
    return {**fields, "parent": artist_id, "isDir": True, "title": name, "album": name, "mediaType": "album"}


def artist(listed: Artist, albums: int) -> Fields:
    """An artist as ArtistID3."""
    return {"id": listed.id, "name": listed.name, "albumCount": albums}


def genre(listed: Counted) -> Fields:
    """A genre with its numbers."""
    return {"value": listed.name, "songCount": listed.tracks, "albumCount": listed.jobs}


def genre_of(track: Track, job: Job) -> str | None:
    """The genre of a track, or else of its job; None without one."""
    return metadata_text(track, "genre") or metadata_text(job, "genre")


def bit_rate(size: int, duration: float | None) -> int:
    """The rate of a file of so many bytes, in kbit/s; 0 if its length is not known."""
    return round(size * 8 / duration / 1000) if duration else 0


def _file(track: Track, title: str) -> dict[str, Any]:
    """The size and the kind of the sound file of a track; nothing if it has none."""
    stored = services().track_files.stored(track)
    if stored is None:
        return {}
    kind, size = stored
    number = f"{track.take:02} " if track.take is not None else ""
    path = f"{track.__data__['job']}/{number}{file_name(title)}.{kind}"
    rate = bit_rate(size, track.duration)
    about = {"size": size, "contentType": TYPES[kind], "suffix": kind, "path": path}
    return {**about, "bitRate": rate} if rate else about


def _artists(artist: Artist) -> Fields:
    return {"artists": [{"id": artist.id, "name": artist.name}], "displayArtist": artist.name}


def _genre(name: str | None) -> Fields:
    return {"genre": name, "genres": [{"name": name}]} if name else {"genres": []}


def _time(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _brief(text: str) -> str:
    """The text as one line, cut to 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"
