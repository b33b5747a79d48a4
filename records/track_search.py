"""TrackSearch: the tracks with these words, this genre, generator, seed or star, sorted by time, length or name."""

from collections.abc import Sequence
from typing import Any

from peewee import SCOPE_VALUES as WITHOUT_TABLE
from peewee import Expression

from database import database
from models import Track
from records.finding import TrackQuery, find, joined
from records.pages import Key, Page, Plain, key_columns
from records.rows import Row, columns
from records.tracks import TrackRepository
from records.writes import Clause, placed

__all__ = ["TrackQuery", "TrackSearch"]


class TrackSearch(TrackRepository):
    """The tracks that a query describes."""

    def __init__(self, query: TrackQuery) -> None:
        super().__init__()
        self.query = query

    def page_rows(self, page: Page, *where: Expression) -> list[Row]:
        """The rows of these tracks that meet every condition, in the order of page.sort and then of their ids."""
        return self._find(columns(Track), page, where)

    def page_keys(self, page: Page, *where: Expression) -> tuple[list[Key], list[Row]]:
        """The same as in Repository."""
        return self._find(key_columns(Track, page.sort), page, where), []

    def page_keys_and_rows(self, page: Page, *where: Expression) -> tuple[list[Key], list[Row]]:
        """The same as in Repository."""
        read = self._find(f"{columns(Track)}, {key_columns(Track, page.sort)}", page, where)
        return [row[-3:] for row in read], [row[:-3] for row in read]

    def count(self, *where: Expression) -> int:
        """The number of these tracks that meet every condition."""
        conditions = [*self.query.indexed(), *map(_written, where)]
        if not conditions:
            return super().count()
        sql, values = joined(conditions)
        return int(self._read(placed(f"SELECT count(*) FROM track WHERE {sql}"), values)[0][0])

    def _find(self, names: str, page: Page, where: Sequence[Expression]) -> list[Any]:
        way = "DESC" if page.descending else "ASC"

        def read(ids: str, values: Sequence[Any]) -> list[Any]:
            joins = f"FROM ({ids}) AS chosen CROSS JOIN track WHERE track.track_id = chosen.id"
            order = f"ORDER BY chosen.place {way}, chosen.id {way}"
            return self._read(placed(f"SELECT {names} {joins} {order}"), values)

        return find(self.query, page, list(map(_written, where)), by_job=False, read=read)


def _written(condition: Expression) -> Clause:
    """A condition on tracks as SQL, without the name of the table."""
    if isinstance(condition, Plain):
        return condition.text("?"), condition.values
    sql, values = database.get_sql_context(scope=WITHOUT_TABLE).sql(condition).query()
    return sql.replace("%s", "?"), tuple(values)
