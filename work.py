"""The verbs of what has to be done, jobs and loops alike: statuses only go forward."""

from typing import Any, TypeVar, cast

from peewee import Expression

from errors import Invalid
from models import Statuses, Work, utc_now
from repository import Page, Repository

W = TypeVar("W", bound=Work)


class WorkRepository(Repository[W]):
    """What jobs and loops share: statuses that only go forward."""

    @property
    def statuses(self) -> Statuses:
        """The table of what may follow what."""
        return cast(Statuses, self.model.statuses)

    def get_by_status(self, status: str, limit: int = 50, offset: int = 0) -> list[W]:
        """Those in a status, newest first. Raises Invalid for an unknown status."""
        return self.page(Page(limit=limit, offset=offset), self.in_status(status))

    def in_status(self, *statuses: str) -> Expression:
        """The condition for page() and count(). Raises Invalid for an unknown status."""
        for status in statuses:
            self._known(status)
        return cast(Expression, self.model.status.in_(statuses))

    def _known(self, status: Any) -> str:
        if status not in self.statuses.all:
            raise Invalid(f"status {status!r} is not one of {', '.join(self.statuses.all)}", "status")
        return str(status)

    def _allowed(self, row: dict[str, Any]) -> list[Expression]:
        if "status" in row:
            return [self.model.status.in_(self.statuses.before[self._known(row["status"])])]
        return [self.model.status.not_in(self.statuses.final)] if "progress" in row else []

    def _implied(self, row: dict[str, Any]) -> dict[str, Any]:
        """A status brings its times along, and completed is 100 %."""
        status, now = row.get("status", ""), utc_now()
        if self.statuses.is_active(status):
            row = {"started_at": now, **row}
        if status in self.statuses.final:
            row = {"finished_at": now, **row}
        return {**row, "progress": 100} if status == self.statuses.completed else row

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        row = super()._row(fields)
        if "status" in row:
            self._known(row["status"])
        return row

    def _refusal(self, record: Any, row: dict[str, Any]) -> str:
        step = f"it cannot become {row['status']}" if "status" in row else "its progress is final"
        return f"{self.name} {record.record_id} is {record.status}: {step}"
