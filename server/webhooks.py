"""Webhooks: sends a POST to WEBHOOK_URL for every job and loop that ends, signed as Standard Webhooks describes.

The triggers of the database write a delivery in the transaction that ends a job. So no delivery is lost when a process
is killed. Any number of processes may deliver at the same time: each one leases one delivery at a time. All times come
from the clock of the database, which the triggers use, too.
"""

import base64
import hashlib
import hmac
import http.client
import logging
import random
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from functools import partial
from urllib.parse import urlsplit

from peewee import Expression

from database import database, to_json
from database.clock import database_now
from database.hints import skip_locked
from maintenance.periodic import Periodic
from models import Delivery, iso
from settings import Settings

log = logging.getLogger("ledger.webhooks")
IDLE_SECONDS = 0.5
CONNECT_SECONDS, TIMEOUT_SECONDS = 5.0, 10.0
LEASE_SECONDS = 30.0  # longer than an attempt can take; after this time, another process may try
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 3600.0
SPREAD = 0.1  # share of a pause that is random, so that not all attempts come at the same time
MOST_ATTEMPTS = 35  # the pauses between them are a day. No time is compared with the clock, which may be wrong


def start(settings: Settings, stopping: threading.Event) -> Periodic:
    """Start to deliver in a thread of this process. It ends when stopping is set."""
    return Periodic("webhooks", IDLE_SECONDS, partial(deliver_next, settings), stopping).start()


def deliver_next(settings: Settings) -> bool:
    """Try one delivery that is due. False if none is due."""
    delivery = claim()
    if delivery is None:
        return False
    failure = send(settings.webhook_url, settings.webhook_key, delivery)
    if failure:
        put_off(delivery, failure)
    else:
        done(delivery)
    return True


def claim() -> Delivery | None:
    """Lease the delivery that has been due for the longest time; None if none is due.

    A delivery that is due later than the longest pause is also due now: the clock was set back after its time was
    written.
    """
    farthest = LONGEST_PAUSE_SECONDS * (1 + SPREAD)
    return _claim(Delivery.due_at <= database_now()) or _claim(Delivery.due_at > database_now(farthest))


def done(delivery: Delivery) -> None:
    """Delete a delivery that has arrived or is given up."""
    with database.atomic():
        Delivery.delete().where(Delivery.event_id == delivery.event_id).execute()


def put_off(delivery: Delivery, failure: str) -> None:
    """Set the time of the next attempt; each pause is twice as long as the one before. After MOST_ATTEMPTS, give up."""
    name = f"webhook {delivery.webhook_id} of {delivery.entity} {delivery.entity_id}"
    if delivery.attempts >= MOST_ATTEMPTS:
        done(delivery)
        log.error("%s: %s; given up after %s attempts", name, failure, delivery.attempts)
        return
    seconds = pause(delivery.attempts)
    mine = (Delivery.event_id == delivery.event_id, Delivery.attempts == delivery.attempts)
    with database.atomic():
        Delivery.update(due_at=database_now(seconds)).where(*mine).execute()
    log.warning("%s: %s; attempt %s, next in %.0f s", name, failure, delivery.attempts, seconds)


def pause(attempts: int) -> float:
    """Seconds until the next attempt: 1, 2, 4 … up to an hour, with a random part of SPREAD."""
    seconds = FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 30)
    return min(seconds, LONGEST_PAUSE_SECONDS) * random.uniform(1 - SPREAD, 1 + SPREAD)


def send(url: str, key: bytes, delivery: Delivery) -> str:
    """Send one delivery.

    Returns '' if the answer is 200 to 299, else the reason of the failure. Follows no redirect.
    """
    body, now = message(delivery), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "diffrhythm-ledger",
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(key, delivery.webhook_id, now, body),
    }
    try:
        status = post(url, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer ({type(error).__name__}: {error})"
    return "" if 200 <= status < 300 else f"answered {status}"


def message(delivery: Delivery) -> bytes:
    """The body of the request; it is the same in every attempt."""
    name = f"{delivery.entity}.{delivery.data['status'].lower()}"
    body = {"type": name, "timestamp": iso(delivery.created_at), "data": delivery.record()}
    return to_json(body).encode("utf-8", "replace")


def signature(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature of Standard Webhooks, version 1: HMAC-SHA256 of id, time and body."""
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a POST.

    Returns the status of the answer. Raises OSError (also after ten seconds), HTTPException, ValueError.
    """
    with closing(_connection(url)) as connection:
        connection.connect()
        connection.sock.settimeout(TIMEOUT_SECONDS)
        end = threading.Timer(TIMEOUT_SECONDS, _hang_up, [connection.sock])  # a socket's own timeout is for each byte
        end.start()
        try:
            parts = urlsplit(url)
            connection.request("POST", f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", body, headers)
            return connection.getresponse().status
        finally:
            end.cancel()


def _claim(is_due: Expression) -> Delivery | None:
    due = Delivery.select(Delivery.event_id).where(is_due).order_by(Delivery.due_at).limit(1)
    if not due.exists():  # takes no lock
        return None
    changes = {Delivery.attempts: Delivery.attempts + 1, Delivery.due_at: database_now(LEASE_SECONDS)}
    query = Delivery.update(changes).where(Delivery.event_id == skip_locked(due)).returning(Delivery.event_id)
    with database.atomic():
        claimed = [event_id for (event_id,) in query.tuples().execute()]
        return Delivery.get_or_none(Delivery.event_id.in_(claimed)) if claimed else None


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = str(parts.hostname)
    if parts.scheme == "https":
        verified = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=verified)
    return http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
