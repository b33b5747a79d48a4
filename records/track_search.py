"""Tracks by words, genre, generator, seed and star, sorted by time, length or name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import SCOPE_VALUES as WITHOUT_TABLE
from peewee import Expression

from database import database, is_postgresql
from database.letters import fold, words
from database.library import folded_genre, track_text
from models import Track
from records.pages import Key, Page, Plain, in_order, key_columns, sorted_by
from records.rows import Row, columns
from records.tracks import TrackRepository
from records.words import tsquery
from records.writes import Clause, placed


@dataclass(frozen=True)
class TrackQuery:
    """What a person looks for. None: anything.

    text: every word must be in the title, a name, the artist or the album of the track, or in the prompt or the lyrics
    of its job. genre: that of the track, or else of its job; case and accents do not matter.
    """

    text: str | None = None
    genre: str | None = None
    job_type: str | None = None
    seed: int | None = None
    starred: bool | None = None
    job_id: str | None = None


class TrackSearch(TrackRepository):
    """The tracks that a query describes."""

    def __init__(self, query: TrackQuery) -> None:
        super().__init__()
        self.query = query

    def page_rows(self, page: Page, *where: Expression) -> list[Row]:
        """The rows of these tracks that meet every condition, in the order of page.sort and then of their ids."""
        return self._read(*self._page(columns(Track), page, where))

    def page_keys(self, page: Page, *where: Expression) -> tuple[list[Key], list[Row]]:
        """The same as in Repository."""
        return self._read(*self._page(key_columns(Track, page.sort), page, where)), []

    def count(self, *where: Expression) -> int:
        """The number of these tracks that meet every condition."""
        conditions = self._conditions("track", where)
        if not conditions:
            return super().count()
        sql, values = joined(conditions)
        return int(self._read(placed(f"SELECT count(*) FROM track WHERE {sql}"), values)[0][0])

    def _page(self, names: str, page: Page, where: Sequence[Expression]) -> tuple[str, list[Any]]:
        """The statement of a page, and its values."""
        sql, values = joined([*self._conditions("track", where), *after(page)])
        order = in_order(Track, page)
        return placed(f"SELECT {names} FROM track WHERE {sql} ") + order, [*values, page.limit, page.offset]

    def _conditions(self, track: str, where: Sequence[Expression] = ()) -> list[Clause]:
        """The conditions for a row of a table or alias."""
        return [*of_query(self.query, track), *map(written, where)]


def of_query(query: TrackQuery, track: str) -> list[Clause]:
    """The conditions that a row of the table or alias `track` must meet, read from the track and its job."""
    clauses: dict[str, Callable[[str, Any], Clause]] = {
        "job_id": lambda name, value: (f"{track}.{name} = ?", (value,)),
        "seed": lambda name, value: (f"{track}.{name} = ?", (value,)),
        "starred": lambda name, value: (f"{'' if value else 'NOT '}{track}.starred", ()),
        "job_type": lambda _, value: (f"EXISTS (SELECT 1 FROM job WHERE {of_job(track)} AND job_type = ?)", (value,)),
        "genre": lambda _, value: (f"{folded_genre(track, is_postgresql())} = ?", (" ".join(words(fold(value))),)),
        "text": lambda _, value: has_text(track, value),
    }
    wanted = {name: getattr(query, name) for name in clauses}
    return [clauses[name](name, value) for name, value in wanted.items() if value is not None]


def has_text(track: str, text: str) -> Clause:
    """The condition that the words are in the text of a track, read from the track and its job."""
    searched = track_text(track, is_postgresql())
    if is_postgresql():
        return f"library_words({searched}) @@ ?::tsquery", (tsquery(text),)
    return f"fields_have_words(CAST({searched} AS BLOB), ?)", (text,)


def of_job(track: str) -> str:
    """The condition that joins a track and its job."""
    return f"job.job_id = {track}.job_id"


def after(page: Page) -> list[Clause]:
    """The condition that a track comes after the end of the page before."""
    if page.after is None:
        return []
    value = Track._meta.fields[page.sort].db_value(page.after[0])
    return [
        (f"({sorted_by(Track, page.sort)}, track_id) {'<' if page.descending else '>'} (?, ?)", (value, page.after[1]))
    ]


def written(condition: Expression) -> Clause:
    """A condition on tracks as SQL, without the name of the table."""
    if isinstance(condition, Plain):
        return condition.text("?"), condition.values
    sql, values = database.get_sql_context(scope=WITHOUT_TABLE).sql(condition).query()
    return sql.replace("%s", "?"), tuple(values)


def joined(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """All conditions as one."""
    return " AND ".join(f"({sql})" for sql, _ in clauses) or "true", [
        value for _, values in clauses for value in values
    ]
