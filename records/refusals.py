"""The errors of changes of jobs and loops that the lease or the status does not allow."""

from collections.abc import Collection
from typing import Any

from errors import LeaseLost, WrongStatus


def lease_lost(record: Any) -> LeaseLost:
    """The error for a caller that does not have the token of the lease."""
    name = record._meta.table_name
    holder = f"is leased to {record.worker}" if record.lease_token else f"is {record.status} and not leased"
    return LeaseLost(f"{name} {record.record_id} {holder}: only the holder of its lease changes its work")


def order_in_use(record: Any, fields: Collection[str]) -> WrongStatus:
    """The error for a change of these fields of an order that a worker uses, or that has a result."""
    *others, last = record.statuses.changeable
    names = ", ".join(sorted(fields))
    return _wrong_status(record, f"{names} can only be changed while it is {', '.join(others)} or {last}")


def not_waiting(job: Any) -> WrongStatus:
    """The error for a job that is to be moved in the queue, or that another is to be moved before."""
    return _wrong_status(job, "only pending jobs have a place in the queue")


def has_result(record: Any) -> WrongStatus:
    """The error for a retry of completed work."""
    return _wrong_status(record, f"create a new {record._meta.table_name} instead")


def wrong_step(record: Any, changes: dict[str, Any]) -> WrongStatus:
    """The error for a status that cannot follow, or for the progress of work that has ended."""
    is_moved = "status" in changes and changes["status"] != record.status
    return _wrong_status(record, f"it cannot become {changes['status']}" if is_moved else "its progress is final")


def _wrong_status(record: Any, reason: str) -> WrongStatus:
    return WrongStatus(f"{record._meta.table_name} {record.record_id} is {record.status}: {reason}")
