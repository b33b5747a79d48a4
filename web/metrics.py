"""The metrics of the service, in the formats of Prometheus. prometheus_client is loaded at the first request for them.

Every figure costs the same for ten records and for ten million: counts come from the tally and from memory.
"""

import math
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from database import AWAY, database, is_postgresql, server_version
from maintenance.backup import newest_backup_age
from maintenance.traffic import BUCKETS, Totals, add_counts
from models import Delivery, Job, Loop, microseconds, utc_now
from records.tally import ATTEMPTS, EXPIRIES, tally
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from web.current import Services

MOST_COUNTED = 100_000  # webhooks; so many are counted one by one, at most
LEASES = """SELECT count(*), max({now} - (lease_expires_at - coalesce(lease_seconds, 0) * 1000000)) / 1000000.0
    FROM {table} WHERE lease_expires_at > 0"""

Family = Any  # of prometheus_client


def text(services: Services, accept: str, version: str) -> tuple[bytes, str]:
    """(the metrics, their media type) in the format that the Accept header prefers."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services, version))
    ProcessCollector(registry=registry)
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


class LedgerCollector(Collector):
    """Collects the metrics. If the database does not answer, those that need it are missing, and one metric says so."""

    def __init__(self, services: Services, version: str) -> None:
        self._services, self._version = services, version

    def describe(self) -> list[Family]:
        """Nothing: otherwise a registration would collect the metrics."""
        return []

    def collect(self) -> Iterator[Family]:
        """All metrics."""
        totals = self._services.traffic.totals()
        yield from requests(totals)
        yield from processes(totals, self._services)
        yield from disks(self._services.settings)
        labels = {"version": self._version, "python": platform.python_version()}
        try:
            families = list(records(self._services.settings))
            labels["database"] = server_version()
        except AWAY:
            families = []
        yield GaugeMetricFamily("ledger_database_up", "1 if the database answers, else 0", value=bool(families))
        yield InfoMetricFamily("ledger_build", "The versions of the service, Python and the database", value=labels)
        yield from families


def requests(totals: Totals) -> Iterator[Family]:
    """Requests by route, and what is open."""
    total = CounterMetricFamily(
        "ledger_http_requests", "Requests that were answered", labels=("method", "route", "status")
    )
    seconds = HistogramMetricFamily(
        "ledger_http_request_seconds", "Seconds until an answer began", labels=("method", "route")
    )
    by_route: dict[tuple[str, str], list[float]] = {}
    for (method, route, status), counted in totals.counts.items():
        labels = (method, _readable(route))
        total.add_metric((*labels, status), sum(counted[1:]))
        add_counts(by_route, labels, counted)
    for labels, (in_all, *numbers) in by_route.items():
        seconds.add_metric(labels, _buckets(numbers), in_all)
    yield total
    yield seconds
    kinds = {"connections": "Connections", "streams": "Event streams", "waits": "Requests that wait for a change"}
    for name, what in kinds.items():
        yield GaugeMetricFamily(f"ledger_open_{name}", f"{what} that are open", value=totals.open.get(name, 0))


def processes(totals: Totals, services: Services) -> Iterator[Family]:
    """The processes of this service: web processes, and workers for jobs and for loops."""
    required = GaugeMetricFamily("ledger_processes_wanted", "Processes that must run", labels=("kind",))
    running = GaugeMetricFamily("ledger_processes_running", "Processes that run", labels=("kind",))
    restarts = CounterMetricFamily(
        "ledger_process_restarts", "Processes that ended and were replaced", labels=("kind",)
    )
    for kind, state in totals.processes.items():
        required.add_metric((kind,), state["wanted"])
        running.add_metric((kind,), state["running"])
        restarts.add_metric((kind,), state["restarts"])
    late = GaugeMetricFamily("ledger_background_late", "1 if a thread has not done its work in time", labels=("name",))
    for thread in services.background:
        late.add_metric((thread.name,), thread.is_late())
    yield from (required, running, restarts, late)


def disks(settings: Settings) -> Iterator[Family]:
    """Free space, the size of the SQLite files, and the age of the newest backup. What is not there has no figure."""
    free = GaugeMetricFamily("ledger_disk_free_bytes", "Free space of a disk", labels=("folder",))
    folders = {
        "storage": settings.storage_dir,
        **({} if is_postgresql() else {"database": settings.sqlite_path.parent}),
    }
    for name, folder in folders.items():
        _add(free, (name,), lambda folder=folder: shutil.disk_usage(folder).free)  # type: ignore[misc]
    yield free
    if not is_postgresql():
        size = GaugeMetricFamily("ledger_database_bytes", "Size of a file of the database", labels=("file",))
        for name, ending in (("database", ""), ("wal", "-wal")):
            path = Path(f"{settings.sqlite_path}{ending}")
            _add(size, (name,), lambda path=path: os.stat(path).st_size)  # type: ignore[misc]
        yield size
    yield backups(settings)


def backups(settings: Settings) -> Family:
    """The age of the newest backup: infinite if BACKUP_DIR has none, so that the alert sees it. Nothing without it."""
    family = GaugeMetricFamily("ledger_backup_age_seconds", "Age of the newest good backup in BACKUP_DIR", labels=())
    age = newest_backup_age(settings)
    if settings.backup_dir:
        family.add_metric((), math.inf if age is None else age)
    return family


def records(settings: Settings) -> Iterator[Family]:
    """Jobs and loops, their queues and leases, and the webhooks that wait."""
    kinds: dict[str, tuple[Any, Any]] = {"job": (Job, JobRepository()), "loop": (Loop, LoopRepository())}
    oldest = GaugeMetricFamily("ledger_oldest_pending_seconds", "Age of the oldest pending record", labels=("kind",))
    leases = GaugeMetricFamily("ledger_leases", "Records that a worker has leased", labels=("kind",))
    silence = GaugeMetricFamily(
        "ledger_longest_silence_seconds",
        "The longest time for which a worker has not renewed its lease",
        labels=("kind",),
    )
    attempts = CounterMetricFamily("ledger_attempts", "Attempts that have begun", labels=("kind",))
    expiries = CounterMetricFamily("ledger_lease_expiries", "Leases that have expired", labels=("kind",))
    begun, expired = tally(ATTEMPTS), tally(EXPIRIES)
    for kind, (model, repo) in kinds.items():
        by_status = GaugeMetricFamily(f"ledger_{kind}s", f"{kind.capitalize()}s by status", labels=("status",))
        for status, number in repo.tally().items():
            by_status.add_metric((status,), number)
        yield by_status
        pending = model.select(model.created_at).where(model.status == repo.statuses.pending)
        oldest.add_metric((kind,), _age(pending.order_by(model.created_at).limit(1).scalar()))
        query = LEASES.format(table=kind, now=microseconds(utc_now()))
        number, seconds = database.execute_sql(query).fetchone()
        leases.add_metric((kind,), number)
        silence.add_metric((kind,), max(0.0, float(seconds or 0)))
        attempts.add_metric((kind,), begun.get(kind, 0))
        expiries.add_metric((kind,), expired.get(kind, 0))
    yield from (oldest, leases, silence, attempts, expiries)
    yield GaugeMetricFamily("ledger_tracks", "Tracks", value=TrackRepository().count())
    yield from webhooks(settings)
    if is_postgresql():
        size = GaugeMetricFamily("ledger_database_bytes", "Size of the database", labels=("file",))
        size.add_metric(
            ("database",), database.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0]
        )
        yield size


def webhooks(settings: Settings) -> Iterator[Family]:
    """The webhooks that wait, and the age of the oldest one. Without WEBHOOK_URL none is sent, and none waits."""
    what = f"Webhooks that wait, at most {MOST_COUNTED}"
    if not settings.webhook_url:
        yield GaugeMetricFamily("ledger_webhooks_waiting", what, value=0)
        yield GaugeMetricFamily("ledger_oldest_webhook_seconds", "Age of the oldest webhook that waits", value=0)
        return
    waiting = database.execute_sql(f"SELECT count(*) FROM (SELECT 1 FROM delivery LIMIT {MOST_COUNTED}) AS waiting")
    oldest = Delivery.select(Delivery.created_at).order_by(Delivery.event_id).limit(1).scalar()
    yield GaugeMetricFamily("ledger_webhooks_waiting", what, value=waiting.fetchone()[0])
    yield GaugeMetricFamily("ledger_oldest_webhook_seconds", "Age of the oldest webhook that waits", value=_age(oldest))


def _age(moment: datetime | None) -> float:
    """The seconds since a moment; 0 for None, and for a moment that is still to come."""
    return 0.0 if moment is None else max(0.0, (utc_now() - moment).total_seconds())


def _add(family: Family, labels: tuple[str, ...], read: Callable[[], float]) -> None:
    """Add what read() returns, unless a file or folder is not there."""
    try:
        family.add_metric(labels, read())
    except OSError:
        return


def _buckets(numbers: list[float]) -> list[tuple[str, float]]:
    """The numbers of requests up to each limit, as a histogram has them."""
    limits = [*map(str, BUCKETS), "+Inf"]
    return list(zip(limits, accumulate(numbers), strict=True))


def _readable(route: str) -> str:
    """/api/jobs/<id:job_id> as /api/jobs/{job_id}."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
