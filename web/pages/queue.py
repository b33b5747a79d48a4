"""The queue on the pages: where a job waits and when it is done, and the forms that pause it and order it."""

from collections.abc import Sequence
from typing import cast

from flask import g, redirect, url_for
from flask.typing import ResponseReturnValue

from models import JOB_STATUSES, Job
from records import waiting
from records.forecast import Forecast, forecast
from records.pace import Estimate
from repos import COUNTED, JobRepository, is_paused, set_paused
from web.answers import require
from web.current import live_workers
from web.pages.forms import own_address, read_form
from web.pages.routes import Routes

routes = Routes()
jobs = JobRepository()
MINUTE, HOUR = 60, 3600
WIDE = 1.3  # a range is shown if its end is so many times its begin


@routes.post("/queue")
def change_queue() -> ResponseReturnValue:
    """Pause the queue, or let it go on. Then show the list that had the form."""
    form = read_form()
    set_paused(form.get("paused") == "true")
    return redirect(own_address(form.get("back", url_for("pages.show_jobs"))), 303)


@routes.post("/jobs/<id:job_id>/next")
def make_job_next(job_id: str) -> ResponseReturnValue:
    """Put a job at the head of the queue, or before another job. Then show the list that had the form, or the job."""
    form = read_form()
    require(jobs.make_next(job_id, form.get("before") or None))
    return redirect(own_address(form.get("back", url_for("pages.show_job", job_id=job_id))), 303)


def expected() -> Forecast:
    """The forecast for the queue. It is made once for each request."""
    if "forecast" not in g:
        g.forecast = forecast(live_workers())
    return cast(Forecast, g.forecast)


def positions(shown: Sequence[Job]) -> dict[str, int]:
    """The positions of these jobs, by id, without those that the forecast has. They are read once for each request.

    10,001 stands for all that come later.
    """
    if "positions" not in g:
        g.positions = waiting.positions({job.job_id for job in shown} - expected().positions.keys(), COUNTED)
    return cast("dict[str, int]", g.positions)


def queue_words(result: Forecast) -> str:
    """What the queue has and when it is done: '1 running, 3 waiting, about 25 min'."""
    counts = {"running": len(result.running), "waiting": result.waiting}
    words = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join([*words, *_about(result.all_done_in)])


def queue_place(job: Job, shown: Sequence[Job]) -> str:
    """Where a job waits and when it is done: 'next, about 4 min', '12 before it, about 1 h'; '' if it has ended.

    shown: all jobs of the page.
    """
    if job.status in JOB_STATUSES.final:
        return ""
    return ", ".join([*_position(job, shown), *_about(expected().done_in.get(job.job_id))])


def is_next(job: Job) -> bool:
    """True if a job is the first of the queue."""
    return expected().positions.get(job.job_id) == 1


def queue_range(job: Job) -> str | None:
    """The range of the estimate for a job, such as '20 min to 35 min'; None if it is narrow or not known."""
    estimate = expected().done_in.get(job.job_id)
    if estimate is None or estimate.low < 1 or estimate.high < WIDE * estimate.low:
        return None
    return f"{length(estimate.low)} to {length(estimate.high)}"


def length(seconds: float) -> str:
    """A time that was estimated, rounded: '40 s', '4 min', '2.5 h'."""
    if seconds < 1.5 * MINUTE:
        return f"{max(10, round(seconds, -1)):.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f}".removesuffix(".0") + " h"


def _about(estimate: Estimate | None) -> list[str]:
    return [] if estimate is None else [f"about {length(estimate.seconds)}"]


def _position(job: Job, shown: Sequence[Job]) -> list[str]:
    if job.status != JOB_STATUSES.pending:
        return []
    number = expected().positions.get(job.job_id)
    if number is None and expected().waiting > len(expected().positions):
        number = positions(shown).get(job.job_id)
    if number is None:
        return []
    words = f"more than {COUNTED:,}" if number > COUNTED else f"{number - 1:,}"
    return ["next" if number == 1 else f"{words} before it"]


FILTERS = {function.__name__: function for function in (is_next, queue_place, queue_range, queue_words)}
GLOBALS = {"expected": expected, "is_paused": is_paused}
