"""SQL about tracks as people look for them: how they are sorted, and the words by which they are found.

The migration 0009_library_index and the queries use the same texts, because a database uses an index of an expression
only for a query with the same expression. So change a text here only together with a new migration.
"""

from database.ledger.tables import SEARCHED

NAME_LENGTH = 200  # characters of a name by which tracks are sorted
SHORT = 250  # characters of a title, a name, an artist, an album or a genre that are searched
NAMES = ("track_name", "title")  # in the metadata of a track: what it is called if it has no title of its own
OWN = (*NAMES, "artist", "album")  # in the metadata of a track: what is searched
NAMELESS = 0x10FFFF  # the character by which tracks without a name are sorted: the last of all
BORDER = 31  # the character between two fields of a text that is searched: no phrase of words crosses it


def text_of(metadata: str, key: str, on_postgresql: bool) -> str:
    """The text at a key of a JSON column; NULL if the value is no text."""
    if on_postgresql:
        return f"CASE jsonb_typeof({metadata} -> '{key}') WHEN 'string' THEN {metadata} ->> '{key}' END"
    return f"CASE json_type({metadata}, '$.{key}') WHEN 'text' THEN {metadata} ->> '$.{key}' END"


def sorted_name(on_postgresql: bool, track: str = "") -> str:
    """The name by which a track is sorted: its title, or a name of its metadata, with A-Z as a-z.

    track: the table or alias with a dot, such as "track.".
    """
    names = [f"nullif(trim({text_of(f'{track}metadata', key, on_postgresql)}), '')" for key in NAMES]
    last = f"{'chr' if on_postgresql else 'char'}({NAMELESS})"
    name = f"substr(coalesce({track}title, {', '.join(names)}, {last}), 1, {NAME_LENGTH})"
    return f'lower({name} COLLATE "C") COLLATE "C"' if on_postgresql else f"lower({name})"


def sorted_duration(track: str = "") -> str:
    """The seconds by which a track is sorted: 0 if its length is not known."""
    return f"coalesce({track}duration, 0)"


def own_text(track: str, on_postgresql: bool) -> str:
    """The title and the names of a track."""
    names = [text_of(f"{track}.metadata", key, on_postgresql) for key in OWN]
    cut = [f"substr({text}, 1, {SHORT})" for text in (f"{track}.title", *names)]
    return f"concat_ws({_border(on_postgresql)}, {', '.join(cut)})"


def job_text(job: str, on_postgresql: bool) -> str:
    """The prompt and the lyrics of a job."""
    texts = (f"{job}.prompt", text_of(f"{job}.metadata", "lyrics", on_postgresql))
    return f"concat_ws({_border(on_postgresql)}, {', '.join(f'substr({text}, 1, {SEARCHED})' for text in texts)})"


def genre_of(track: str, on_postgresql: bool) -> str:
    """The genre of a track: its own, or that of its job."""
    of_job = f"(SELECT {own_genre('job', on_postgresql)} FROM job WHERE job.job_id = {track}.job_id)"
    return f"coalesce({own_genre(track, on_postgresql)}, {of_job})"


def own_genre(table: str, on_postgresql: bool) -> str:
    """The genre in the metadata of a track or a job; NULL if there is none."""
    return _own_name(table, "genre", on_postgresql)


def own_artist(track: str, on_postgresql: bool) -> str:
    """The artist in the metadata of a track; NULL if there is none."""
    return _own_name(track, "artist", on_postgresql)


def _own_name(table: str, key: str, on_postgresql: bool) -> str:
    return f"substr(nullif(trim({text_of(f'{table}.metadata', key, on_postgresql)}), ''), 1, {SHORT})"


def _border(on_postgresql: bool) -> str:
    return f"{'chr' if on_postgresql else 'char'}({BORDER})"
