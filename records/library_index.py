"""Adds jobs that have tracks to library_search, SQLite's index of the words of tracks. records/indexing.py calls it."""

import json
from collections.abc import Sequence

from database import database
from database.letters import WALL, fold, words
from database.library import BORDER, genre_of, job_text, own_text

# For each job: its text, the texts of all its tracks, and their genres, as bytes; NULL for a job without tracks.
READ = f"""SELECT due.value, CAST({job_text("job", False)} AS BLOB),
    (SELECT CAST(group_concat({own_text("track", False)}, char({BORDER})) AS BLOB) FROM track
        WHERE track.job_id = job.job_id),
    (SELECT CAST(group_concat({genre_of("track", False)}, char({BORDER})) AS BLOB) FROM track
        WHERE track.job_id = job.job_id)
    FROM json_each(?) AS due LEFT JOIN job ON job.rowid = due.value ORDER BY due.id"""
INSERT = "INSERT INTO library_search (rowid, shared, own, fields) VALUES (?, ?, ?, ?)"
GENRE = "\U000f0001"  # begins the tokens of genres


def add_to_library(rowids: Sequence[int], most_characters: int) -> None:
    """Index these jobs of library_stale again, or fewer if their texts have more characters. It needs a transaction.

    A job without tracks leaves the index.
    """
    for rowid, *texts in database.execute_sql(READ, [json.dumps(rowids)]).fetchall():
        if most_characters < 0:
            return
        shared, own, genres = (bytes(text or b"").decode("utf-8", "replace").split(chr(BORDER)) for text in texts)
        most_characters -= sum(len(text or b"") for text in texts)
        database.execute_sql("DELETE FROM library_search WHERE rowid = ?", [rowid])
        database.execute_sql("DELETE FROM library_stale WHERE job_rowid = ?", [rowid])
        if texts[1] is not None:
            tokens = " ".join(sorted({genre_token(genre) for genre in genres} - {GENRE}))
            database.execute_sql(INSERT, [rowid, _folded(shared), _folded(own), tokens])


def genre_token(genre: str) -> str:
    """The token of a genre, the same for all spellings that differ in case or accents."""
    return GENRE + "\U000f0002".join(words(fold(genre)))


def _folded(texts: Sequence[str]) -> str:
    """The folded words of different texts, with a wall between two texts."""
    return f" {WALL} ".join(" ".join(words(fold(text))) for text in dict.fromkeys(texts))
