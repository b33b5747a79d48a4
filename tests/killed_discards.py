"""Kills what deletes tracks, brings them back and removes their files: python -m tests.killed_discards ACTION ROUNDS.

It uses the database and the storage folder of the environment. All of it runs in forks of this process, because a fork
must not inherit a connection.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from database import database, init_database
from errors import LedgerError
from files.discards import Expiry, discard_job, remove_expired
from files.storage import Storage
from models import Discard, Job, Loop, Track
from records import discards
from repos import JobRepository, LoopRepository, TrackRepository
from settings import get_settings
from tests.killed import SQL, in_fork, moments, must, run_and_exit

JOBS = ("a", "b", "c")
TRACKS, KEPT = 4, 1  # of a job; the first has a star
settings = get_settings()
storage = Storage(settings)


def nobody(storage: Storage, paths: set[Path]) -> set[Path]:
    """No archive needs a file."""
    return set()


def bind() -> None:
    """Open the database, and raise an event after each statement."""
    init_database(settings)
    database.query_hooks.append(lambda event: sys.audit(SQL))


def fill() -> None:
    """Jobs with tracks and loops whose files are there."""
    bind()
    Discard.delete().execute()
    Job.delete().execute()
    for job_id in JOBS:
        JobRepository().create(job_id=job_id, prompt="x", takes=TRACKS)
        for take in range(1, TRACKS + 1):
            name, path = f"{job_id}{take}", f"jobs/{job_id}/aaaaaaaaaaaa/{take}.wav"
            result = f"loops/{name}/bbbbbbbbbbbb/l.mp3"
            TrackRepository().create(
                track_id=name, job_id=job_id, take=take, starred=take == KEPT, file_path_wav=path
            )  # fmt: skip
            LoopRepository().create(loop_id=name, track_id=name, duration=9, status="COMPLETED", result_path=result)
            for file in (storage.root / path, storage.root / result):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"sound")


def fill_and_discard() -> None:
    """The same, with the first job discarded."""
    fill()
    discard_job(storage, JOBS[0])


def one_discard() -> str:
    """The id of the only discard."""
    [discard_id] = discards.states()
    return discard_id


def discard() -> None:
    """Delete the tracks of the first job."""
    assert discard_job(storage, JOBS[0])


def undo() -> None:
    """Bring them back."""
    discards.undo(one_discard())


def expire() -> None:
    """Remove their files."""
    remove_expired(storage, one_discard(), nobody)


def look() -> None:
    """All of each job is there or nothing, no record lacks a file, and after housekeeping no file lacks a record."""
    bind()
    for job_id in JOBS:
        present = Track.select().where(Track.job == job_id).count()
        own = Discard.select().where(Discard.job_id == job_id, Discard.state != discards.UNDONE)
        states = [each.state for each in own]
        copies = [len(discards.tracks_of(each.discard_id)) for each in own]
        assert present in (KEPT, TRACKS), present
        assert len(states) <= 1 and set(copies) <= {TRACKS - KEPT}, (states, copies)
        assert present == KEPT or not states, (present, states)
        assert Loop.select().join(Track).where(Track.job == job_id).count() == present
        for each in own:
            assert len(discards.loops_of(each.discard_id)) == TRACKS - KEPT
            assert each.state == discards.EXPIRED or _missing(each.discard_id) == []
    assert {name for name in _named() if not (storage.root / name).is_file()} == set()
    now = [0.0]
    expiry = Expiry(storage, lambda: now[0])
    for _ in range(3):
        expiry.run(nobody)
        now[0] += 10
    assert set(discards.states().values()) <= {discards.UNDONE}
    assert {path.relative_to(storage.root).as_posix() for path in storage.root.rglob("*.*")} == _named()


def _missing(discard_id: str) -> list[str]:
    """The files of a discard that are not there."""
    names = [row[2] for row in discards.tracks_of(discard_id)] + [row[1] for row in discards.loops_of(discard_id)]
    return [name for name in names if not (storage.root / name).is_file()]


def _named() -> set[str]:
    """The files that tracks and loops name."""
    return {track.file_path_wav for track in Track.select()} | {loop.result_path for loop in Loop.select()}


def kill_at_every_step(prepare: Callable[[], object], action: Callable[[], object]) -> int:
    """Kill an action after statements and before changes of files. Returns the number of steps to be killed at."""
    for steps in moments(0):
        must(prepare)
        has_ended = in_fork(action, steps, bind)
        must(look)
        if has_ended:
            return steps
    raise AssertionError


def work_at_random(ready: int) -> None:
    """Discard and undo for ever, and sometimes remove. Writes a byte to `ready` first."""
    bind()
    os.write(ready, b"x")
    while True:
        with suppress(LedgerError):
            discard_job(storage, random.choice(JOBS))
        for discard_id in discards.states():
            with suppress(LedgerError):
                if random.random() < 0.05:
                    remove_expired(storage, discard_id, nobody)
                elif random.random() < 0.8:
                    discards.undo(discard_id)


def kill_at_random(rounds: int) -> int:
    """Kill two processes that work side by side, at any moment. Returns the number of kills."""
    for _ in range(rounds):
        must(fill)
        is_ready, ready = os.pipe()
        workers = [_fork(partial(work_at_random, ready)) for _ in range(2)]
        os.close(ready)
        assert len(os.read(is_ready, 1) + os.read(is_ready, 1)) == 2, "an error, which is printed above"
        os.close(is_ready)
        time.sleep(random.uniform(0, 0.3))
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        for pid in workers:
            _, status = os.waitpid(pid, 0)
            assert os.WIFSIGNALED(status), "an error, which is printed above"
        must(look)
    return 2 * rounds


def race(rounds: int) -> Counter[str]:
    """Let undo and two removals begin at the same moment, in three processes. Returns how often which has won."""
    outcomes = Counter[str]()
    for _ in range(rounds):
        must(fill_and_discard)
        start, go = os.pipe()
        racers = [_fork(partial(_wait_and, start, go, run)) for run in (undo, expire, expire)]
        os.close(start)
        os.close(go)
        for pid in racers:
            _, status = os.waitpid(pid, 0)
            assert status == 0, "an error, which is printed above"
        must(look)
        outcomes[_outcome()] += 1
    return outcomes


def _wait_and(start: int, go: int, run: Callable[[], object]) -> None:
    bind()
    discard_id = one_discard()
    os.close(go)
    os.read(start, 1)  # until the parent and all others have closed the other end
    time.sleep(random.uniform(0, 0.004))
    discards.undo(discard_id) if run is undo else remove_expired(storage, discard_id, nobody)


def _outcome() -> str:
    is_back = (storage.root / f"jobs/{JOBS[0]}/aaaaaaaaaaaa/{TRACKS}.wav").exists()
    return "undone" if is_back else "removed"


def _fork(action: Callable[[], object]) -> int:
    """Run an action in a fork. Returns its process id."""
    pid = os.fork()
    if pid == 0:
        run_and_exit(action)
    return pid


if __name__ == "__main__":
    storage.root.mkdir(parents=True, exist_ok=True)
    rounds = int(sys.argv[2])
    actions: dict[str, Callable[[], object]] = {
        "discard": lambda: kill_at_every_step(fill, discard),
        "undo": lambda: kill_at_every_step(fill_and_discard, undo),
        "expire": lambda: kill_at_every_step(fill_and_discard, expire),
        "random": lambda: kill_at_random(rounds),
        "race": lambda: sorted(race(rounds).items()),
    }
    print(actions[sys.argv[1]]())
