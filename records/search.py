"""Jobs by the words of their prompts, at a cost that hardly grows with how many have them."""

from dataclasses import replace
from typing import Any, cast

from peewee import SQL, Column, Expression, Table, Value, fn

from database import database, is_postgresql
from database.hints import few_rows, leave_few_rows, unindexed
from models import Job
from records import rows, words
from records.jobs import JobRepository
from records.pages import Page
from records.rows import Row

FEW = 500  # matches that can be sorted in no time
MARGIN = 100  # rowids: jobs that are made at the same time need not be numbered in the order of their times
WALKED = 4  # times a page: so many of the newest jobs are looked at one by one, on PostgreSQL
LAST = 2**63 - 1
index = Table("job_search")
rowid: Any = Column(Job._meta.table, "rowid")


class JobSearch(JobRepository):
    """The jobs whose prompt has every word of a text, each at least as a beginning; none when it has no word.

    SQLite finds matches in the order of their rowids, which is that of created_at but for exceptions: so the newest
    few are sorted, and where an exception could belong to the page, all are walked. PostgreSQL finds them in no order:
    so the newest jobs are looked at first, which is enough for a common word, and then it is its planner's to choose.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.match = (words.tsquery(text) or "") if is_postgresql() else (words.fts5_query(text) or '""')

    def count(self, *where: Expression) -> int:
        """The number of these jobs that meet every condition."""
        return super().count(self._is_match(), *where)

    def page_rows(self, page: Page, *where: Expression) -> list[Row]:
        """The rows of these jobs that meet every condition, in the order of page.sort and then of their ids."""
        are_few = leave_few_rows(where)
        newest_first = (page.sort, page.descending, are_few) == ("created_at", True, False) and page.limit > 0
        if is_postgresql():
            jobs = self._among_newest(page, *where) if newest_first else None
            return super().page_rows(page, self._is_match(), *where) if jobs is None else jobs
        if are_few:
            return super().page_rows(page, cast(Expression, fn.EXISTS(self._matches(index.c.rowid == rowid))), *where)
        start = self._nth_to(LAST)
        if start is None:
            return super().page_rows(page, few_rows(self._is_match()), *map(unindexed, where))
        jobs = self._newest(page, start, *map(unindexed, where)) if newest_first else None
        return super().page_rows(page, unindexed(self._is_match()), *where) if jobs is None else jobs

    def _among_newest(self, page: Page, *where: Expression) -> list[Row] | None:
        """The page out of the newest jobs; None when too few of these match."""
        oldest = self._selected(replace(page, limit=1, offset=WALKED * page.limit), *where).select(Job.created_at)
        near = (Job.created_at >= oldest, unindexed(self._is_match()))
        jobs = super().page_rows(page, *near, *where)
        return jobs if len(jobs) == page.limit else None

    def _newest(self, page: Page, start: int | None, *where: Expression) -> list[Row] | None:
        """The page out of the few matches from the rowid start on, or as many before page.after.

        None when another job might belong to it: by its time, or since too few of these meet the conditions.
        """
        end, skipped = LAST, Job.select(SQL("1"))
        if page.after is not None:
            end = self._rowid_at(page.after[0])
            start = self._nth_to(end)
            skipped = skipped.where(Job.created_at <= page.after[0])
        near = (start or 0, end)
        matches = self._matches(index.c.rowid.between(*near))
        jobs = super().page_rows(page, few_rows(rowid.in_(matches)), *where)
        if start is not None:
            if len(jobs) < page.limit:
                return None
            skipped = skipped.where(Job.created_at >= jobs[-1][rows.place(Job, "created_at")])
        return None if skipped.where(~rowid.between(*near)).exists() else jobs

    def _rowid_at(self, moment: Any) -> int:
        """A rowid that jobs made until then do not exceed, as a rule."""
        query = Job.select(rowid).where(Job.created_at <= moment).order_by(Job.created_at.desc())
        return int(query.limit(1).scalar() or 0) + MARGIN

    def _nth_to(self, end: int) -> Any:
        """The rowid of the FEWth match counted down from this one; None when there are not as many."""
        query = self._matches(index.c.rowid <= end).order_by(index.c.rowid.desc()).offset(FEW - 1).limit(1)
        return query.scalar(database)

    def _is_match(self) -> Expression:
        if is_postgresql():
            return Expression(fn.job_words(Job.prompt), "@@", SQL("%s::tsquery", [self.match]))
        return cast(Expression, rowid.in_(self._matches()))

    def _matches(self, *where: Expression) -> Any:
        return index.select(index.c.rowid).where(Expression(index.c.job_search, "MATCH", Value(self.match)), *where)
