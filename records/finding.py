"""Finds tracks in the order of a list: it walks the list as long as many match, and otherwise sorts all that match."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from database import database, is_postgresql
from database.letters import fold, words
from database.library import genre_of, job_text, own_artist, own_text
from models import Track
from records.pages import Page, in_order, place_compared, place_read, sorted_by
from records.words import library_query, tsquery
from records.writes import Clause, placed

FEW = 5000  # tracks that an index finds: sorting so many takes less time than walking the list
WALKED = 3000  # tracks that a page looks at one by one before it sorts all matching tracks
Read = Callable[[str, Sequence[Any]], list[Any]]
# SQLite's index has the jobs of matching tracks, and perhaps more: another track of the job may have one of the words.
IN_INDEX = """track.job_id IN (SELECT job_id FROM job WHERE rowid IN (SELECT rowid FROM library_search
    WHERE library_search MATCH ? UNION ALL SELECT job_rowid FROM library_stale))"""
IN_ANY_ORDER = """SELECT 1 FROM library_search CROSS JOIN job ON job.rowid = library_search.rowid
    CROSS JOIN track ON track.job_id = job.job_id WHERE library_search MATCH ?"""
OWN, OF_JOB = f"CAST({own_text('{0}', False)} AS BLOB)", f"CAST({job_text('job', False)} AS BLOB)"
HAS_WORDS = f"fields_have_words({OWN}, (SELECT {OF_JOB} FROM job WHERE job.job_id = {{0}}.job_id), ?)"
# Words that the job itself has are those of all its tracks; for other words, the names of a track decide. So the texts
# of a job are read only if the names have some of the words, but not all; and once, if the job is not in the index.
HAS_WORDS_BY_INDEX = f"""CASE WHEN (SELECT rowid FROM job WHERE job.job_id = {{0}}.job_id) IN
    (SELECT rowid FROM library_search WHERE library_search MATCH ?
        AND rowid NOT IN (SELECT job_rowid FROM library_stale)
    UNION ALL SELECT job.rowid FROM library_stale CROSS JOIN job ON job.rowid = library_stale.job_rowid
        WHERE fields_have_words(x'', {OF_JOB}, ?))
    THEN 1 ELSE CASE part_of_words({OWN}, ?) WHEN 'all' THEN 1 WHEN 'some' THEN {HAS_WORDS} ELSE 0 END END"""

# PostgreSQL's index has the words of a track and those of its job apart.
HAS_ENTRY = """coalesce((SELECT {0} FROM library_track AS own CROSS JOIN library_job AS of_job
    WHERE own.track_id = {1}.track_id AND of_job.job_id = {1}.job_id), false)"""
ALL_WORDS = "(own.words || of_job.words) @@ ?::tsquery"
OF_JOBS = "SELECT track.track_id FROM library_job AS of_job JOIN track ON track.job_id = of_job.job_id"
BY_WORDS = f"""{OF_JOBS} WHERE of_job.words @@ ?::tsquery
    UNION ALL SELECT own.track_id FROM library_track AS own JOIN track ON track.track_id = own.track_id
    JOIN library_job AS of_job ON of_job.job_id = track.job_id
    WHERE own.words @@ ?::tsquery AND (own.words @@ ?::tsquery OR {ALL_WORDS})"""
BY_GENRE = f"""{OF_JOBS} JOIN library_track AS own ON own.track_id = track.track_id
    WHERE of_job.genre = ? AND own.genre IS NULL
    UNION ALL SELECT track_id FROM library_track WHERE genre = ?"""


@dataclass(frozen=True)
class TrackQuery:
    """What a person looks for. None: anything.

    text: every word must be in the title, a name, the artist or the album of the track, or in the prompt or the lyrics
    of its job. genre: that of the track, or else of its job; case and accents do not matter. artist: exactly that of
    the metadata of the track; "" for tracks without one. No index has it, so search for its words or a generator, too.
    """

    text: str | None = None
    genre: str | None = None
    job_type: str | None = None
    seed: int | None = None
    starred: bool | None = None
    job_id: str | None = None
    artist: str | None = None

    def conditions(self, track: str = "track") -> list[Clause]:
        """What a row of this table or alias must meet, read from the track and its job."""
        return [*self._plain(track), *self._job_type(track), *self._genre(track), *self._text(track)]

    def indexed(self) -> list[Clause]:
        """The same for a row of track, written so that indexes answer it."""
        typed = "track.job_id IN (SELECT job_id FROM job WHERE job_type = ?)"
        job_type: list[Clause] = [] if self.job_type is None else [(typed, (self.job_type,))]
        by_words = self._by_words() if self.text is not None or self.genre is not None else []
        return [*self._plain("track"), *job_type, *by_words]

    def of_few(self) -> list[Clause]:
        """All conditions, written so that the index that finds few tracks is used; [] if each index finds many."""
        if self.job_id is not None:
            return self.conditions()
        probes: list[tuple[str, tuple[Any, ...], list[Clause]]] = []
        if self.seed is not None:
            probes.append(("SELECT 1 FROM track WHERE seed = ?", (self.seed,), self.conditions()))
        if self.starred:
            probes.append(("SELECT 1 FROM track WHERE starred", (), self.conditions()))
        if self.job_type is not None:
            probes.append(("SELECT 1 FROM job WHERE job_type = ?", (self.job_type,), self.indexed()))
        if self.text is not None or self.genre is not None:
            probes += [(*probe, self.indexed()) for probe in self._probes()]
        for sql, values, conditions in probes:
            if database.execute_sql(placed(f"{sql} LIMIT 1 OFFSET {FEW}"), values).fetchone() is None:
                return conditions
        return []

    def _probes(self) -> list[Clause]:
        """The queries for the tracks that an index of words or genres finds, without an order."""
        return self._of_index() if is_postgresql() else [(IN_ANY_ORDER, (library_query(self.text, self.genre),))]

    def _plain(self, track: str) -> list[Clause]:
        clauses: list[Clause] = [
            (f"{track}.{name} = ?", (value,))
            for name, value in (("job_id", self.job_id), ("seed", self.seed))
            if value is not None
        ]
        if self.artist is not None:
            clauses.append((f"coalesce({own_artist(track, is_postgresql())}, '') = ?", (self.artist,)))
        return clauses if self.starred is None else [*clauses, (f"{'' if self.starred else 'NOT '}{track}.starred", ())]

    def _job_type(self, track: str) -> list[Clause]:
        typed = f"EXISTS (SELECT 1 FROM job WHERE {of_job(track)} AND job_type = ?)"
        return [] if self.job_type is None else [(typed, (self.job_type,))]

    def _genre(self, track: str) -> list[Clause]:
        if self.genre is None:
            return []
        if is_postgresql():
            has_genre = HAS_ENTRY.format("coalesce(own.genre, of_job.genre) = ?", track)
        else:
            has_genre = f"folded_words(CAST({genre_of(track, False)} AS BLOB)) = ?"
        return [(has_genre, (self._folded_genre(),))]

    def _text(self, track: str) -> list[Clause]:
        if self.text is None:
            return []
        if is_postgresql():
            return [(HAS_ENTRY.format(ALL_WORDS, track), (tsquery(self.text),))]
        return [(HAS_WORDS.format(track), (self.text,))]

    def _by_words(self) -> list[Clause]:
        """The conditions on words and genre that the index of tracks answers."""
        if is_postgresql():
            return [(f"track.track_id IN ({sql})", values) for sql, values in self._of_index()]
        candidates = (IN_INDEX, (library_query(self.text, self.genre),))
        if self.text is None:
            return [candidates, *self._genre("track")]
        shared = library_query(self.text, self.genre, is_shared=True)
        return [candidates, *self._genre("track"), (HAS_WORDS_BY_INDEX.format("track"), (shared, *[self.text] * 3))]

    def _of_index(self) -> list[Clause]:
        """The queries for the ids of tracks with the words and with the genre, by PostgreSQL's index."""
        clauses: list[Clause] = []
        if self.text is not None:
            every = tsquery(self.text)
            clauses.append((BY_WORDS, (every, tsquery(self.text, "|"), every, every)))
        if self.genre is not None:
            clauses.append((BY_GENRE, (self._folded_genre(), self._folded_genre())))
        return clauses

    def _folded_genre(self) -> str | None:
        return None if self.genre is None else " ".join(words(fold(self.genre)))


def find(query: TrackQuery, page: Page, where: Sequence[Clause], by_job: bool, read: Read) -> list[Any]:
    """One page of the tracks that a query and conditions describe; by_job: only the first track of each job.

    read(sql, values) runs the rest of the statement; `sql` reads the id and the place of each track, in order.
    """
    if not query.conditions():
        return read(*_walk(query, page, where, by_job))
    few = query.of_few()
    if few:
        return read(*_sorted([*few, *where], page, by_job))
    end = _end(page)
    rows = read(*_walk(query, page, [*where, *end], by_job))
    if len(rows) == page.limit or not end:
        return rows
    return read(*_sorted([*query.indexed(), *where], page, by_job))


def _walk(query: TrackQuery, page: Page, where: Sequence[Clause], by_job: bool) -> tuple[str, list[Any]]:
    """The statement that looks at one track after the other, in the order of the list."""
    first = [_is_first(query, page)] if by_job else []
    sql, values = joined([*query.conditions(), *where, *_after(page), *first])
    place = sorted_by(Track, page.sort, "track.")
    source = f"SELECT track_id AS id, {place} AS place FROM track WHERE {sql} {in_order(Track, page)}"
    return source.replace("%s", "?"), [*values, page.limit, page.offset]


def _is_first(query: TrackQuery, page: Page) -> Clause:
    """The condition that no other matching track of the job comes before a track.

    It reads the tracks before this one, the nearest first, until one matches. So a walk over all tracks of a job reads
    each of them about once here. An index has the tracks of a job in this order. Tracks with the same place are read
    apart from the others: SQLite does not use an index of an expression to compare a pair. PostgreSQL expects NOT
    coalesce() to be true for half of the tracks, but IS NULL for hardly any: then it would read all tracks.
    """
    here, there = (sorted_by(Track, page.sort, f"{table}.") for table in ("track", "other"))
    sign, way = (">", "ASC") if page.descending else ("<", "DESC")
    reads, values = [], []
    for before, order in (
        (f"{there} = {here} AND other.track_id {sign} track.track_id", ""),
        (f"{there} {sign} {here}", f"{there} {way}, "),
    ):
        sql, more = joined([("other.job_id = track.job_id", ()), (before, ()), *query.conditions("other")])
        reads.append(f"(SELECT true FROM track AS other WHERE {sql} ORDER BY {order}other.track_id {way} LIMIT 1)")
        values += more
    return f"NOT coalesce({', '.join(reads)}, false)", tuple(values)


def _sorted(where: Sequence[Clause], page: Page, by_job: bool) -> tuple[str, list[Any]]:
    """The statement that reads all tracks that meet these conditions from an index, and sorts them."""
    way = "DESC" if page.descending else "ASC"
    place = sorted_by(Track, page.sort, "track.")
    nth = f"row_number() OVER (PARTITION BY job_id ORDER BY {place} {way}, track_id {way})" if by_job else "1"
    sql, values = joined(where)
    matching = f"SELECT track_id AS id, {place} AS place, {nth} AS nth FROM track WHERE {sql}"
    then, more = joined([("nth = 1", ()), *_after(page, "place", "id")])
    chosen = f"SELECT id, place FROM matching WHERE {then} ORDER BY place {way}, id {way} LIMIT ? OFFSET ?"
    return f"WITH matching AS MATERIALIZED ({matching}) {chosen}", [*values, *more, page.limit, page.offset]


def _after(page: Page, place: str = "", key: str = "track_id") -> list[Clause]:
    """The condition that a track comes after the end of the page before."""
    if page.after is None:
        return []
    way = "<" if page.descending else ">"
    return [_compared(place or sorted_by(Track, page.sort), key, way, page.sort, page.after)]


def _compared(place: str, key: str, way: str, sort: str, end: tuple[Any, str]) -> Clause:
    """The condition that a track stands before or after this place and id. way: <, >, <= or >=.

    SQLite uses an index of an expression only for a single value, so an expression is compared alone, too.
    """
    param, value = place_compared(Track, sort, end[0])
    pair = f"({place}, {key}) {way} ({param}, ?)"
    if "(" not in place:
        return pair, (value, end[1])
    return f"{place} {way[0]}= {param} AND {pair}", (value, value, end[1])


def _end(page: Page) -> list[Clause]:
    """The condition that a track is one of the next 3000 of the list; [] if there are not so many."""
    sql, values = joined(_after(page))
    place = sorted_by(Track, page.sort)
    columns = f"{place_read(Track, page.sort, place)}, track_id"
    query = placed(f"SELECT {columns} FROM track WHERE {sql} ") + in_order(Track, page)
    last = database.execute_sql(query, [*values, 1, WALKED - 1]).fetchone()
    way = ">=" if page.descending else "<="
    return [] if last is None else [_compared(place, "track_id", way, page.sort, tuple(last))]


def of_job(track: str) -> str:
    """The condition that joins a track and its job."""
    return f"job.job_id = {track}.job_id"


def joined(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """All conditions as one."""
    return " AND ".join(f"({sql})" for sql, _ in clauses) or "true", [
        value for _, values in clauses for value in values
    ]
