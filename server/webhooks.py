"""Webhooks: WEBHOOK_URL is told of every job and loop that has ended, signed as Standard Webhooks says.

The database's triggers write a delivery in the transaction that ends a job, so that none is lost whatever is killed
when. Any number of processes may deliver at once: each takes one delivery at a time, and leaves the others to the rest.
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
from datetime import timedelta
from urllib.parse import urlsplit

from database import AWAY, database, release_connection, to_json
from database.hints import skip_locked
from models import Delivery, iso, utc_now
from settings import Settings

log = logging.getLogger("ledger.webhooks")
IDLE_SECONDS = 0.5
CONNECT_SECONDS, TIMEOUT_SECONDS = 5.0, 10.0
LEASE_SECONDS = 30.0  # longer than any try takes; after it, another process may try
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 3600.0
GIVE_UP = timedelta(days=1)


def start(settings: Settings, stopping: threading.Event) -> threading.Thread:
    """Deliver in a thread of this process until stopping is set."""
    thread = threading.Thread(target=_loop, args=(settings, stopping), daemon=True, name="webhooks")
    thread.start()
    return thread


def deliver_next(settings: Settings) -> bool:
    """Try one delivery that is due; False when none is."""
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
    """The delivery that is due longest, kept from others for a while; None when none is."""
    now = utc_now()
    due = Delivery.select(Delivery.event_id).where(Delivery.due_at <= now).order_by(Delivery.due_at).limit(1)
    if not due.exists():  # takes no lock
        return None
    changes = {Delivery.attempts: Delivery.attempts + 1, Delivery.due_at: now + timedelta(seconds=LEASE_SECONDS)}
    query = Delivery.update(changes).where(Delivery.event_id == skip_locked(due)).returning(Delivery)
    with database.atomic():
        return next(iter(list(query.execute())), None)


def done(delivery: Delivery) -> None:
    """Forget a delivery."""
    Delivery.delete().where(Delivery.event_id == delivery.event_id).execute()


def put_off(delivery: Delivery, failure: str) -> None:
    """Try again later, twice as late each time; after a day not at all."""
    name = f"webhook {delivery.webhook_id} of {delivery.entity} {delivery.entity_id}"
    due_at = utc_now() + timedelta(seconds=pause(delivery.attempts))
    if due_at > delivery.created_at + GIVE_UP:
        done(delivery)
        log.error("%s: %s; given up after %s attempts", name, failure, delivery.attempts)
        return
    mine = (Delivery.event_id == delivery.event_id, Delivery.attempts == delivery.attempts)
    Delivery.update(due_at=due_at).where(*mine).execute()
    log.warning("%s: %s; attempt %s, next at %s", name, failure, delivery.attempts, iso(due_at))


def pause(attempts: int) -> float:
    """Seconds until the next try: 1, 2, 4 … up to an hour, a little more or less, so that not all come at once."""
    seconds = FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 30)
    return min(seconds, LONGEST_PAUSE_SECONDS) * random.uniform(0.9, 1.1)


def send(url: str, key: bytes, delivery: Delivery) -> str:
    """POST one delivery; why that failed, or '' for an answer of 200 to 299. No redirect is followed."""
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
    """What is sent; the same at every try."""
    name = f"{delivery.entity}.{delivery.data['status'].lower()}"
    body = {"type": name, "timestamp": iso(delivery.created_at), "data": delivery.record()}
    return to_json(body).encode("utf-8", "replace")


def signature(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature of Standard Webhooks, version 1: HMAC-SHA256 of id, time and body."""
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status that is answered within ten seconds. Raises OSError, HTTPException, ValueError."""
    with closing(_connection(url)) as connection:
        connection.connect()
        connection.sock.settimeout(TIMEOUT_SECONDS)
        end = threading.Timer(TIMEOUT_SECONDS, _hang_up, [connection.sock])  # its own timeout is for each byte
        end.start()
        try:
            parts = urlsplit(url)
            connection.request("POST", f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", body, headers)
            return connection.getresponse().status
        finally:
            end.cancel()


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


def _loop(settings: Settings, stopping: threading.Event) -> None:
    while not stopping.wait(IDLE_SECONDS):
        try:
            while deliver_next(settings) and not stopping.is_set():
                pass
        except AWAY as error:
            log.warning("webhooks go on later: %s", error)
        release_connection()
