"""Two verbs on the same job or loop at the same moment: however they interleave, the record stays in order."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest

from errors import LedgerError
from models import Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from tests.conftest import thorough

Verb = Callable[[Any, str, str], Any]
ROUNDS = thorough(300, 6)
REPOS = {"job": JobRepository(), "loop": LoopRepository()}


def complete(repo: Any, record_id: str, token: str) -> Any:
    """Record the result, as a worker does."""
    if repo.name == "job":
        return repo.complete(record_id, token, [{"duration": 3}, {"duration": 4}])
    return repo.update(record_id, lease_token=token, status="COMPLETED", result_path="a.mp3")


VERBS: dict[str, Verb] = {
    "cancel": lambda repo, record_id, token: repo.cancel(record_id),
    "retry": lambda repo, record_id, token: repo.retry(record_id),
    "delete": lambda repo, record_id, token: repo.delete(record_id),
    "claim": lambda repo, record_id, token: repo.claim("another", 600),
    "release": lambda repo, record_id, token: repo.release(record_id, token),
    "heartbeat": lambda repo, record_id, token: repo.heartbeat(record_id, token),
    "report": lambda repo, record_id, token: repo.update(record_id, lease_token=token, progress=7),
    "fail": lambda repo, record_id, token: repo.update(record_id, lease_token=token, status=repo.statuses.failed),
    "complete": complete,
    "requeue": lambda repo, record_id, token: repo.requeue_expired(),
}
LEASED = ("cancel", "delete", "release", "heartbeat", "report", "fail", "complete")
EXPIRED = ("requeue", "cancel", "delete", "release", "heartbeat", "complete")
PENDING = ("claim", "cancel", "delete")
FAILED = ("retry", "claim", "cancel", "delete")


def pairs(state: str, verbs: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Every two of the verbs that can meet in a state."""
    yield from ((state, one, other) for number, one in enumerate(verbs) for other in verbs[: number + 1])


PAIRS = [
    *pairs("leased", LEASED),
    *pairs("expired", EXPIRED),
    *pairs("pending", PENDING),
    *pairs("failed", FAILED),
]


@pytest.mark.parametrize("entity", REPOS)
@pytest.mark.parametrize("state", ["leased", "expired", "pending", "failed"])
def test_verbs_that_meet_leave_a_record_in_order(two: ThreadPoolExecutor, entity: str, state: str) -> None:
    for _, one, other in (pair for pair in PAIRS if pair[0] == state):
        for number in range(ROUNDS):
            record_id = f"{one}-{other}-{number}"
            token = prepare(REPOS[entity], record_id, state)
            meet(two, REPOS[entity], record_id, token, one, other)
            REPOS[entity].requeue_expired()  # a record that another transaction held is left to the next round
            check(entity, record_id, {one, other}, state)


def prepare(repo: Any, record_id: str, state: str) -> str:
    """A record in a state, alone in the queue; the token of its lease."""
    Job.delete().execute()
    job_id = record_id if repo.name == "job" else "parent"
    JobRepository().create(job_id=job_id, prompt="p", priority=9 if repo.name == "job" else 0)
    if repo.name == "loop":
        TrackRepository().create(track_id=record_id, job_id=job_id)
        repo.create(loop_id=record_id, track_id=record_id, duration=3)
    token = "" if state == "pending" else repo.claim("w", 600).lease_token
    if state == "failed":
        repo.update(record_id, lease_token=token, status=repo.statuses.failed)
    if state == "expired":
        repo.model.update(lease_expires_at=1).execute()
    return str(token)


def meet(pool: ThreadPoolExecutor, repo: Any, record_id: str, token: str, *names: str) -> None:
    """Both verbs at the same moment; either may be refused."""
    start = Barrier(2)

    def act(verb: Verb) -> None:
        start.wait(20)
        with suppress(LedgerError):
            verb(repo, record_id, token)

    for done in [pool.submit(act, VERBS[name]) for name in names]:
        done.result(30)


def check(entity: str, record_id: str, verbs: set[str], state: str) -> None:
    """What is true of every record, and of what the verbs must have done."""
    record: Any = REPOS[entity].get_by_id(record_id)
    tracks = Track.select().where(Track.job == record_id).count() if entity == "job" else 0
    if "delete" in verbs:
        assert record is None and tracks == 0 and not Loop.select().exists()
        return
    statuses = record.statuses
    active, final = statuses.is_active(record.status), record.status in statuses.final
    seen = f"{verbs} of a {state} {entity}: {record.__data__}"
    assert active == (record.lease_token is not None) == (record.lease_expires_at is not None), seen
    assert final == (record.finished_at is not None), seen
    assert record.status != statuses.pending or not (record.cancel_requested or record.worker), seen
    assert entity == "loop" or tracks == 2 * (record.status == statuses.completed), seen
    if "cancel" in verbs and verbs & {"release", "requeue"} and "complete" not in verbs:
        assert record.status == statuses.cancelled, seen
