"""Requests that wait for the end of a job, for work to claim, or for a file. No request needs a thread meanwhile.

A claim is attempted only while its client is connected. Claims for the same kind of work wait in a line: the claim that
has waited longest is attempted first, and the next claim when the first one has ended.
"""

import asyncio
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from models import JOB_STATUSES, LOOP_STATUSES
from records.events import Feed, Message
from records.waits import Wait
from server.answers import Answer, Refusal
from server.bridge import call
from server.lanes import Lane

if TYPE_CHECKING:
    from server.exchange import Exchange

PENDING = {"job": JOB_STATUSES.pending, "loop": LOOP_STATUSES.pending}
QUEUE_CHANGED = "queue.updated"  # it was paused, or it goes on
Claim = tuple[str, frozenset[str]]
Key = TypeVar("Key")


class Waits:
    """All requests that wait."""

    def __init__(self, feed: Feed, lane: Lane, loop: asyncio.AbstractEventLoop) -> None:
        self.feed, self.lane, self.loop = feed, lane, loop
        self._waiters: dict[Waiter, None] = {}
        self._by_job: dict[str, dict[Waiter, None]] = {}
        self._by_claim: dict[Claim, dict[Waiter, None]] = {}
        self._watching = ExitStack()

    def add(self, exchange: "Exchange", wait: Wait) -> "Waiter":
        """Begin to wait; the answer is sent later."""
        if not self._waiters:
            self._watching.enter_context(self.feed.watched())
        waiter = Waiter(self, exchange, wait)
        self._waiters[waiter] = None
        if wait.job_id is not None:
            self._by_job.setdefault(wait.job_id, {})[waiter] = None
        if wait.claim_of is not None:
            self._by_claim.setdefault(wait.claim_of, {})[waiter] = None
        waiter.begin()
        return waiter

    def __len__(self) -> int:
        return len(self._waiters)

    def remove(self, waiter: "Waiter") -> None:
        """Remove a request that waits no longer."""
        self._waiters.pop(waiter, None)
        if waiter.wait.job_id is not None:
            _remove(self._by_job, waiter.wait.job_id, waiter)
        if waiter.wait.claim_of is not None:
            _remove(self._by_claim, waiter.wait.claim_of, waiter)
        if not self._waiters:
            self._watching.close()

    def publish(self, messages: list[Message], position: int) -> None:
        """Attempt the requests that these events may complete; if there are no events, all requests."""
        if not messages:
            for waiter in list(self._waiters):
                waiter.attempt()
            return
        for message in messages:
            entity, _, change = message.name.partition(".")
            is_end = change == "deleted" or message.status in JOB_STATUSES.final
            if entity == "job" and is_end:
                for waiter in list(self._by_job.get(message.job_id, ())):
                    waiter.attempt()
        pending = {message.name.partition(".")[0] for message in messages if message.status in PENDING.values()}
        if any(message.name == QUEUE_CHANGED for message in messages):
            pending.add("job")
        for claim in [claim for claim in self._by_claim if claim[0] in pending]:
            self.attempt_first(claim)

    def attempt_first(self, claim: Claim) -> None:
        """Attempt the claim that has waited longest."""
        for waiter in self._by_claim.get(claim, ()):
            waiter.attempt()
            return


class Waiter:
    """One request that waits."""

    def __init__(self, waits: Waits, exchange: "Exchange", wait: Wait) -> None:
        self.waits, self.exchange, self.wait = waits, exchange, wait
        self._timer = waits.loop.call_later(wait.seconds, self.stop)
        self._is_attempting = self._must_attempt_again = self._is_last = self._is_closed = False

    def begin(self) -> None:
        """Attempt at once: something may have changed since the request was read."""
        if self.wait.future is not None:
            self.wait.future.add_done_callback(self._wake)
        else:
            self.attempt()

    def attempt(self) -> None:
        """Attempt in a thread to make the response."""
        if self._is_closed:
            return
        if self._is_attempting:
            self._must_attempt_again = True
            return
        self._is_attempting, self._must_attempt_again = True, False
        self.waits.lane.submit(partial(self._try, self._is_last), self._tried)

    def resume(self) -> None:
        """Nothing has been sent yet."""

    def left(self) -> None:
        """The client has left: nothing is claimed for it any more."""
        if not self._is_attempting:
            self._end()
            self.exchange.keep_alive = False
            self.exchange.finish()

    def stop(self) -> None:
        """The time is over, or the process stops: answer with what there is now."""
        self._is_last = True
        self.attempt()

    def close(self) -> None:
        """The connection is lost."""
        self._end()

    def _wake(self, _: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self.waits.loop.call_soon_threadsafe(self.attempt)

    def _try(self, is_last: bool) -> Answer | None:
        """In a thread: the answer, or None if there is none yet."""
        if self.exchange.is_gone:
            return None
        app = self.wait.attempt(is_last)
        return None if app is None else call(app, self.exchange.environ)

    def _tried(self, answer: Any) -> None:
        self._is_attempting = False
        if isinstance(answer, BaseException):
            answer = Refusal(503, "unavailable", "The service cannot wait for this now: send this again in a moment.")
        if answer is not None:
            self._end()
            self.exchange.answer(answer)  # if the client has left, what was claimed is given back
        elif self.exchange.is_gone:
            self.left()
        elif self._must_attempt_again or self._is_last:
            self.attempt()

    def _end(self) -> None:
        """Wait no longer, and attempt the next claim: there may be more work, or this claim has taken none."""
        if self._is_closed:
            return
        self._is_closed = True
        self._timer.cancel()
        self.waits.remove(self)
        self.wait.close()
        if self.wait.claim_of is not None:
            self.waits.attempt_first(self.wait.claim_of)


def _remove(groups: dict[Key, dict[Waiter, None]], key: Key, waiter: Waiter) -> None:
    """Remove a waiter from its group, and the group with its last waiter."""
    group = groups.get(key, {})
    group.pop(waiter, None)
    if not group:
        groups.pop(key, None)
