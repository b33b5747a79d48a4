"""One queue with its workers, in a process of its own.

Run: queue_contestants.py NAME WORKERS SECONDS PLACE. Prints JSON: how many jobs a second the workers put into the
queue, and how many they take out of it and finish. The jobs do no work, so only the queue needs time. Every queue is
durable: each change is on disk before its call returns.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

PROMPT = "folk, electronic guitar, soft piano"
Step = Callable[[], bool]  # puts or takes one job; False if the queue is empty
Worker = Callable[[], Step]  # makes the step of one worker, in the thread of this worker


def rate(worker: Worker, workers: int, seconds: float) -> float:
    """How many steps a second these threads do together."""
    began = time.perf_counter()

    def work(_: int) -> int:
        step, count = worker(), 0
        while time.perf_counter() - began < seconds and step():
            count += 1
        return count

    with ThreadPoolExecutor(workers) as pool:
        count = sum(pool.map(work, range(workers)))
    return count / (time.perf_counter() - began)


def in_threads(put: Worker, take: Worker, workers: int, seconds: float) -> dict[str, float]:
    """Put jobs for these seconds. Then take jobs for half of them, so that the queue does not become empty."""
    return {"put": rate(put, workers, seconds), "take": rate(take, workers, seconds / 2)}


def huey(workers: int, seconds: float, place: str) -> dict[str, float]:
    """Huey with SQLite and fsync: dequeue a task, run it, and store its result."""
    from huey import SqliteHuey

    queue = SqliteHuey(filename=place, fsync=True)

    @queue.task()  # type: ignore[untyped-decorator]
    def make(prompt: str) -> str:
        return prompt

    def put() -> bool:
        return make(PROMPT) is not None

    def take() -> bool:
        task = queue.dequeue()
        if task is not None:
            queue.execute(task)
        return task is not None

    return in_threads(lambda: put, lambda: take, workers, seconds)


def ours(workers: int, seconds: float, place: str) -> dict[str, float]:
    """This service by its repositories: create a job; complete a job and claim the next one in one transaction.

    Several workers share commits, as the threads of the web process do.
    """
    import repos
    from database import commit_in_groups, database, init_database
    from settings import Settings

    init_database(Settings(_env_file=None, database_url=place))
    jobs = repos.JobRepository()
    if workers > 1:
        commit_in_groups()

    def put() -> bool:
        return jobs.create(prompt=PROMPT) is not None

    def worker() -> Step:
        job = None

        def take() -> bool:
            nonlocal job
            with database.atomic():
                if job is not None:
                    jobs.update(job.job_id, lease_token=job.lease_token, status="completed")
                job = jobs.claim("bench")
            return job is not None

        return take

    return in_threads(lambda: put, worker, workers, seconds)


def procrastinate(workers: int, seconds: float, place: str) -> dict[str, float]:
    """Procrastinate on PostgreSQL: its own worker fetches a job, runs it and records its end."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=place, max_size=workers + 2))
    done = 0

    @app.task()
    async def make(prompt: str) -> None:
        nonlocal done
        done += 1

    async def put(until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            await make.defer_async(prompt=PROMPT)
            count += 1
        return count

    async def measure() -> dict[str, float]:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            until = time.perf_counter() + seconds
            puts = sum(await asyncio.gather(*(put(until) for _ in range(workers))))
            began = time.perf_counter()
            await app.run_worker_async(concurrency=workers, wait=False, install_signal_handlers=False)
            return {"put": puts / seconds, "take": done / (time.perf_counter() - began)}

    return asyncio.run(measure())


CONTESTANTS = {"huey": huey, "ours": ours, "procrastinate": procrastinate}

if __name__ == "__main__":
    name, workers, seconds, place = sys.argv[1:]
    logging.disable()  # Procrastinate does not like to be started by a script
    json.dump(CONTESTANTS[name](int(workers), float(seconds), place), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # threads of the queue may still wait
