"""Jobs by words of the prompt and values of the metadata, at a cost that hardly grows with how many match."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

import peewee
from peewee import SQL, Column, EnclosedNodeList, Expression, NodeList, Value, fn

from database import database, is_postgresql
from database.hints import few_rows, leave_few_rows, unindexed
from models import Job
from records import filters, rows, words
from records.indexing import PROMPT, index_batch, jobs_behind
from records.jobs import JobRepository
from records.pages import Page
from records.rows import Row

FEW = 2  # times a page: so many of the newest matches are sorted
MANY = 4000  # matches; with fewer, sorting them is faster than walking the list until enough of it match
MARGIN = 30  # rowids: jobs that are made at the same time need not be numbered in the order of their times
WALKED = 4  # times a page: so many of the newest jobs are looked at one by one, on PostgreSQL
FAR_BEHIND, BATCHES = 2000, 5  # with so many jobs that are not in the index, a search adds so many batches of them
LAST = 2**63 - 1
rowid: Any = Column(Job._meta.table, "rowid")

NTH = "SELECT rowid FROM job_search WHERE job_search MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET ?"
NEWEST = "SELECT rowid FROM job_search WHERE job_search MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?"
INDEXED = "SELECT rowid FROM job_search WHERE rowid NOT IN (SELECT job_rowid FROM search_stale) AND job_search MATCH"
LISTED = """SELECT rowid FROM job WHERE rowid IN (SELECT value FROM json_each(?))
    AND rowid NOT IN (SELECT job_rowid FROM search_stale)"""
WAITING = "SELECT rowid FROM job WHERE rowid > (SELECT job_rowid FROM search_mark)"
STALE = "SELECT rowid FROM job WHERE rowid IN (SELECT job_rowid FROM search_stale)"
# Only a prompt that may match is split into words: it has the letters of the word, or letters that are not ASCII.
HAS_WORDS = f"CASE WHEN prompt LIKE ? OR prompt GLOB '*[^ -~]*' THEN has_words({PROMPT}, ?) END"


class JobSearch(JobRepository):
    """The jobs whose prompt has every word of a text, each at least as a beginning, and whose metadata has some values.

    text: None for any prompt; a text without a word matches no job. metadata: texts by dotted path, as in filters.py.

    SQLite's index has most jobs; the others are read one by one (records/indexing.py). It finds matches in the order of
    their rowids, which is that of created_at but for exceptions: so the newest few are sorted, and where an exception
    could belong to the page, all are walked. PostgreSQL finds them in no order: so the newest jobs are looked
    at first, which is enough for a common word, and then it is its planner's to choose. An index only finds jobs that
    may have the values of metadata; the exact condition decides.
    """

    def __init__(self, text: str | None = None, metadata: dict[str, str] | None = None) -> None:
        super().__init__()
        self.text, self.metadata = text, metadata or {}
        self.exact = filters.metadata_is(Job, self.metadata)
        self.match, self.wide = (words.fts5_query(text, self.metadata, is_wide) for is_wide in (False, True))

    def count(self, *where: Expression) -> int:
        """The number of these jobs that meet every condition."""
        if not (is_postgresql() or self.exact or where):
            number = NodeList([SQL("SELECT count(*) FROM"), EnclosedNodeList([self._matches(0, LAST)])])
            return int(database.execute(number).fetchone()[0])
        return super().count(*self._by_index(), *self.exact, *where)

    def page_rows(self, page: Page, *where: Expression) -> list[Row]:
        """The rows of these jobs that meet every condition, in the order of page.sort and then of their ids."""
        where = (*self.exact, *where)
        are_few = leave_few_rows(where)
        newest_first = (page.sort, page.descending, are_few) == ("created_at", True, False) and page.limit > 0
        if is_postgresql():
            jobs = self._among_newest(page, *where) if newest_first else None
            return super().page_rows(page, *self._by_index(), *where) if jobs is None else jobs
        if are_few:
            return super().page_rows(page, *self._has_words(), *where)
        catch_up()
        with one_snapshot():
            jobs = self._newest(page, *map(unindexed, where)) if newest_first else None
            return self._from_all(page, *where) if jobs is None else jobs

    def _from_all(self, page: Page, *where: Expression) -> list[Row]:
        """The page out of all matches: sorted if they are few enough, else as the list is walked."""
        if database.execute_sql(NTH, (self.match, MANY)).fetchone() is None:
            return super().page_rows(page, *map(few_rows, self._by_index()), *map(unindexed, where))
        return super().page_rows(page, *self._has_words(), *where)

    def _is_plain(self, where: Sequence[Expression]) -> bool:
        return False

    def _among_newest(self, page: Page, *where: Expression) -> list[Row] | None:
        """The page out of the newest jobs; None if too few of them match."""
        oldest = self._selected(replace(page, limit=1, offset=WALKED * page.limit), *where).select(Job.created_at)
        near = (Job.created_at >= oldest, *map(unindexed, self._by_index()))
        jobs = super().page_rows(page, *near, *where)
        return jobs if len(jobs) == page.limit else None

    def _newest(self, page: Page, *where: Expression) -> list[Row] | None:
        """The page out of the newest few matches, or of the last few before page.after.

        None when another job might belong to it: by its time, or since too few of these meet the conditions.
        """
        end, skipped = LAST, Job.select(SQL("1"))
        if page.after is not None:
            end = self._rowid_at(page.after[0])
            skipped = skipped.where(Job.created_at <= page.after[0])
        number = min(FEW * (page.limit + page.offset) + (MARGIN if page.after else 0), MANY)
        newest = [row[0] for row in database.execute_sql(NEWEST, (self.wide, end, number)).fetchall()]
        are_all = len(newest) < number
        near = (0 if are_all else newest[-1], end)
        jobs = super().page_rows(page, few_rows(self._is_between(*near, newest)), *where)
        if are_all and page.after is None:
            return jobs
        if not are_all:
            if len(jobs) < page.limit:
                return None
            skipped = skipped.where(Job.created_at >= jobs[-1][rows.place(Job, "created_at")])
        return None if skipped.where(~rowid.between(*near)).exists() else jobs

    def _rowid_at(self, moment: Any) -> int:
        """A rowid that jobs made until then do not exceed, as a rule."""
        query = Job.select(rowid).where(Job.created_at <= moment).order_by(Job.created_at.desc())
        return int(query.limit(1).scalar() or 0) + MARGIN

    def _by_index(self) -> list[Expression]:
        """The conditions that an index answers."""
        if not is_postgresql():
            return [self._is_between(0, LAST)]
        has_words = Expression(
            fn.job_words(Job.prompt), "@@", SQL("%s::tsquery", [words.tsquery(self.text or "") or ""])
        )
        has_fields = [filters.may_have(path, text) for path, text in self.metadata.items()]
        return has_fields if self.text is None else [has_words, *has_fields]

    def _has_words(self) -> list[Expression]:
        """The condition that the prompt has the words, read from the prompt itself; on SQLite."""
        return [] if self.text is None else [cast(Expression, self._words_in_prompt())]

    def _words_in_prompt(self) -> SQL:
        text = self.text or ""
        return SQL(HAS_WORDS, [f"%{words.longest_ascii(text)}%", text])

    def _is_between(self, low: int, high: int, newest: list[int] | None = None) -> Expression:
        """The condition: a match with a rowid from low to high, on SQLite. newest: as in _matches()."""
        return Expression(rowid, "IN", EnclosedNodeList([self._matches(low, high, newest)]))

    def _matches(self, low: int, high: int, newest: list[int] | None = None) -> NodeList:
        """The rowids of the matches from low to high, on SQLite: those in the index, and of the other jobs.

        newest: those of them in the index, or more, found by the wide query.
        """
        near = [SQL("AND rowid BETWEEN"), low, SQL("AND"), high]
        has_words: list[Any] = [] if self.text is None else [SQL("AND"), self._words_in_prompt()]
        parts: list[Any] = [SQL(INDEXED), Value(self.match), *near]
        if newest is not None:
            parts = [SQL(LISTED, [json.dumps(newest)]), *([] if self.wide == self.match else has_words)]
        for others in (WAITING, STALE):
            parts = [*parts, SQL(f"UNION ALL {others}"), *near, *has_words]
        return NodeList(parts)


@contextmanager
def one_snapshot() -> Iterator[None]:
    """A block whose statements all read the same state of SQLite, even if another process adds jobs to the index."""
    if database.in_transaction():
        yield
        return
    database.execute_sql("BEGIN")
    try:
        yield
        database.execute_sql("COMMIT")
    except BaseException:
        with suppress(peewee.DatabaseError):  # an error of SQLite may have ended the transaction
            database.execute_sql("ROLLBACK")
        raise


def catch_up() -> None:
    """Add jobs to SQLite's index if too many are missing, because no process has done housekeeping.

    It adds some batches only, so no search takes long. If it cannot write, searches stay correct and become slow.
    """
    if jobs_behind() > FAR_BEHIND and not database.in_transaction():
        with suppress(peewee.OperationalError):
            for _ in range(BATCHES):
                index_batch()
