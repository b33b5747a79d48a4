"""Webhooks: what has ended is told at least once, signed, whatever fails or is killed in between."""

import base64
import hashlib
import hmac
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from database import database, release_connection
from errors import SettingsError
from maintenance import housekeeping
from models import Delivery, Event, Job, Loop, utc_now
from repos import JobRepository, LoopRepository
from server import webhooks
from settings import Settings, load_settings
from tests.conftest import Server, wait_for

pytestmark = pytest.mark.measured

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
jobs, loops = JobRepository(), LoopRepository()


class Received(NamedTuple):
    """What a receiver was sent."""

    path: str
    webhook_id: str
    body: dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """Checks every signature in its own way; gives the answers it is told, one after another, and then 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int | Callable[[Any], None]] = []
        self.started_at, self.is_over = int(time.time()), threading.Event()
        self.received: list[Received] = []
        self.forged = 0
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/hook?of=ledger"

    @property
    def ids(self) -> list[str]:
        """The ids that came, in order."""
        return [each.webhook_id for each in self.received]


class Handler(BaseHTTPRequestHandler):
    """One request to a receiver."""

    def do_POST(self) -> None:
        """Note it, and answer."""
        body, receiver = self.rfile.read(int(self.headers["Content-Length"])), self.server
        sent = [self.headers[f"webhook-{name}"] for name in ("id", "timestamp")]
        signed = ".".join([*sent, body.decode()]).encode()
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        is_current = receiver.started_at <= int(sent[1]) <= time.time()
        receiver.forged += self.headers["webhook-signature"] != f"v1,{expected}" or not is_current
        receiver.received.append(Received(self.path, sent[0], json.loads(body)))
        answer = receiver.answers.pop(0) if receiver.answers else 204
        if callable(answer):
            answer(self)
            return
        self.send_response(answer)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that is up."""
    with Receiver() as made:
        yield made
        assert made.forged == 0
        made.shutdown()


@pytest.fixture
def hooked(ledger: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the receiver, which is tried again at once."""
    monkeypatch.setattr(webhooks, "FIRST_PAUSE_SECONDS", 0.0)
    return ledger.model_copy(update={"webhook_url": receiver.url, "webhook_secret": SECRET})


def deliver_all(settings: Settings) -> int:
    """Deliver until nothing is due; how many attempts that took."""
    attempts = 0
    while webhooks.deliver_next(settings):
        attempts += 1
    return attempts


def outbox() -> list[tuple[str, str]]:
    """Who has ended and how, as is still to be told."""
    return [(each.entity_id, each.data["status"]) for each in Delivery.select().order_by(Delivery.event_id)]


def test_a_signature_is_the_one_of_the_standard() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhooks.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("url", "secret", "named"),
    [
        ("ftp://h/", SECRET, "WEBHOOK_URL"),
        ("http://", SECRET, "WEBHOOK_URL"),
        ("http://h:99999/", SECRET, "WEBHOOK_URL"),
        ("http://[::1/", SECRET, "WEBHOOK_URL"),
        ("https://user:geheim@h/", SECRET, "WEBHOOK_URL"),
        ("http://h/geheim a", SECRET, "WEBHOOK_URL"),
        ("http://h/", "", "WEBHOOK_SECRET is not set"),
        ("http://h/", "geheim", "WEBHOOK_SECRET"),
        ("", SECRET.replace("whsec", "geheim"), "WEBHOOK_SECRET"),
        ("", "whsec_Z2VoZWlt", "WEBHOOK_SECRET"),
        ("", SECRET + "A" * 60, "WEBHOOK_SECRET"),
        ("", SECRET + "!", "WEBHOOK_SECRET"),
    ],
)
def test_bad_settings_stop_the_start_and_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, secret: str, named: str
) -> None:
    monkeypatch.setenv("WEBHOOK_URL", url)
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsError, match=f"^{named}") as caught:
        load_settings()
    assert "geheim" not in str(caught.value) and KEY.hex() not in str(caught.value)


def test_good_settings_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://hooks.example:8443/in?x=1")
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    assert load_settings().webhook_key == KEY


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_an_end_is_told_once(loop: Loop, ledger: Settings, status: str) -> None:
    jobs.update("job-1", status="exporting", progress=90)
    assert outbox() == []
    jobs.update("job-1", status=status)
    jobs.update("job-1", metadata={"seen": True})
    loops.update("loop-1", status=status.upper())
    assert outbox() == [("job-1", status), ("loop-1", status.upper())]
    assert [each.event_id for each in Delivery.select()] == [
        Event.get(Event.entity_id == name, Event.data["status"] == end).event_id for name, end in outbox()
    ]


def test_an_end_after_a_retry_is_told_again(job: Job, ledger: Settings) -> None:
    for _ in range(2):
        jobs.update("job-1", status="failed", error="no voice")
        jobs.retry("job-1")
    assert outbox() == [("job-1", "failed")] * 2
    assert len({each.webhook_id for each in Delivery.select()}) == 2


def test_ends_by_plain_sql_are_told_and_those_rolled_back_are_not(ledger: Settings) -> None:
    database.execute_sql("INSERT INTO job (job_id, prompt, status) VALUES ('a', 'p', 'failed'), ('b', 'p', 'pending')")
    database.execute_sql("INSERT INTO job (job_id, prompt) VALUES ('c', 'p')")
    database.execute_sql("UPDATE job SET status = 'completed' WHERE job_id <> 'a'")
    with database.atomic() as transaction:
        jobs.create(job_id="d", prompt="p", status="completed")
        transaction.rollback()
    assert outbox()[0] == ("a", "failed") and sorted(outbox()[1:]) == [("b", "completed"), ("c", "completed")]
    assert all(each.entity_id == Event.get_by_id(each.event_id).entity_id for each in Delivery.select())


def test_what_is_sent_is_the_event(job: Job, hooked: Settings, receiver: Receiver) -> None:
    jobs.update("job-1", status="failed", error="keine Stimme 🎵")
    event = Event.select().order_by(Event.event_id.desc()).first()
    assert deliver_all(hooked) == 1 and outbox() == []
    [(path, webhook_id, body)] = receiver.received
    assert (path, webhook_id[:4]) == ("/hook?of=ledger", "msg_")
    assert body == {"type": "job.failed", "timestamp": body["data"]["created_at"], "data": event.record()}


def test_a_receiver_that_fails_is_tried_again_with_the_same_message(
    job: Job, hooked: Settings, receiver: Receiver
) -> None:
    receiver.answers = [500, 404, 301, lambda request: request.wfile.write(b"nonsense\r\n"), 199 + 101]
    jobs.update("job-1", status="completed")
    assert deliver_all(hooked) == 6 and outbox() == []
    assert len(set(receiver.ids)) == 1 and len(receiver.ids) == 6
    assert all(each == receiver.received[0] for each in receiver.received)


def test_no_redirect_is_followed(job: Job, hooked: Settings, receiver: Receiver) -> None:
    jobs.update("job-1", status="completed")
    receiver.answers = [301, 302, 303, 307, 308]
    assert deliver_all(hooked) == 6
    assert {each.path for each in receiver.received} == {"/hook?of=ledger"}


def drip(request: Any) -> None:
    """Answer a byte at a time, each long before a connection without any byte is given up."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 204 No Content\r\n\r\n":
            request.wfile.write(bytes([byte]))
            request.server.is_over.wait(0.05)


def say_nothing(request: Any) -> None:
    """Answer when the test is over, or much later."""
    request.server.is_over.wait(30)
    with suppress(OSError):
        request.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("answer", [drip, say_nothing])
def test_an_answer_is_not_waited_for_for_ever(
    job: Job, hooked: Settings, receiver: Receiver, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.3)
    jobs.update("job-1", status="completed")
    receiver.answers = [answer]
    assert webhooks.deliver_next(hooked) and outbox() == [("job-1", "completed")]
    receiver.is_over.set()  # only now may the receiver end


def test_pauses_double_up_to_an_hour_and_end_after_a_day(job: Job, ledger: Settings) -> None:
    assert [round(webhooks.pause(attempts) / 2 ** (attempts - 1)) for attempts in (1, 2, 5, 9)] == [1] * 4
    assert 3200 < webhooks.pause(20) < 4000 > webhooks.pause(10_000)
    settings = ledger.model_copy(update={"webhook_url": "http://127.0.0.1:9/", "webhook_secret": SECRET})
    jobs.update("job-1", status="completed")
    before = utc_now()
    assert deliver_all(settings) == 1
    assert before + timedelta(seconds=0.8) < Delivery.get().due_at < utc_now() + timedelta(seconds=1.2)
    for attempts in (webhooks.MOST_ATTEMPTS - 2, webhooks.MOST_ATTEMPTS - 1):
        assert outbox() == [("job-1", "completed")]
        Delivery.update(created_at=0, attempts=attempts, due_at=0).execute()  # whatever the clock was at its start
        assert deliver_all(settings) == 1
    assert outbox() == []
    hours = sum(webhooks.pause(attempts) for attempts in range(1, webhooks.MOST_ATTEMPTS)) / 3600
    assert 21 < hours < 27


@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_event_of_what_ends_is_not_looked_for_among_all_events(kind: str, ledger: Settings, job: Job) -> None:
    with database.atomic():
        database.execute_sql("SET LOCAL enable_seqscan = off")  # so that what can use an index does, in a small table
        jobs.update("job-1", status="completed")
        scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'event'"
        assert database.execute_sql(scans).fetchone() == (0,)
    assert outbox() == [("job-1", "completed")]


def test_several_dispatchers_share_the_work(hooked: Settings, receiver: Receiver) -> None:
    for number in range(40):
        jobs.create(job_id=f"j-{number}", prompt="p", status="completed")

    def dispatch(_: int) -> int:
        done = deliver_all(hooked)
        release_connection()
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(dispatch, range(4))) == 40
    assert len(set(receiver.ids)) == len(receiver.ids) == 40 and outbox() == []


def test_the_outbox_is_bounded_when_nobody_is_told(job: Job, ledger: Settings) -> None:
    jobs.update("job-1", status="completed")
    assert housekeeping.prune(Delivery, housekeeping.DELIVERY_DAYS) == 0
    Delivery.update(created_at=utc_now() - timedelta(days=1, seconds=1)).execute()
    assert housekeeping.prune(Delivery, housekeeping.DELIVERY_DAYS) == 1 and outbox() == []


def test_nothing_is_lost_when_the_server_is_killed_before_it_delivers(
    ledger: Settings, receiver: Receiver, server: Callable[..., Server]
) -> None:
    receiver.answers = [500] * 1000
    hook = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
    running = server(DATABASE_URL=ledger.database_url, **hook).start()
    for number in range(5):
        running.call("POST", "/api/jobs", {"job_id": f"j-{number}", "prompt": "p"})
        assert running.call("PATCH", f"/api/jobs/j-{number}", {"status": "completed"})[0] == 200
    kept = {each.webhook_id: each.entity_id for each in Delivery.select()}
    running.signal_all(signal.SIGKILL)
    assert len(kept) == 5 and len(outbox()) == 5
    receiver.answers[:] = [500] * 5
    running.start()
    wait_for(lambda: not outbox(), webhooks.LEASE_SECONDS + 30)  # it may have been killed amid a try
    assert {each.webhook_id: each.body["data"]["entity_id"] for each in receiver.received} == kept
    assert len(receiver.received) >= 10
