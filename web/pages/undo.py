"""Deletes all takes of a job without a star, and brings them back: for browsers without JavaScript."""

from datetime import timedelta
from typing import Any

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from peewee import fn

from files import discards as discarding
from models import Discard, Track, utc_now
from records import discards
from web.answers import UNDO_IS_OVER, require
from web.current import services
from web.pages.routes import Routes

routes = Routes()


@routes.post("/jobs/<id:job_id>/discard")
def discard_takes(job_id: str) -> ResponseReturnValue:
    """Delete all takes of a job without a star, then show the job. Its page offers to undo this."""
    require(discarding.discard_job(services().storage, job_id))
    return redirect(url_for("pages.show_job", job_id=job_id), 303)


@routes.post("/discards/<id:discard_id>/undo")
def undo_discard(discard_id: str) -> ResponseReturnValue:
    """Bring deleted tracks back, then show their job. Tracks of several jobs: the list of tracks."""
    discard = require(discards.undo(discard_id), UNDO_IS_OVER)
    home = url_for("pages.show_job", job_id=discard.job_id) if discard.job_id else url_for("pages.show_tracks")
    return redirect(home, 303)


def choice(job_id: str) -> dict[str, int]:
    """How many takes of a job have a star (starred), how many have none (others), and the bytes of the latter.

    The bytes are counted only if "Delete all but starred" is possible.
    """
    columns = (Track.starred, fn.COUNT(Track.track_id))
    counted: Any = Track.select(*columns).where(Track.job == job_id).group_by(Track.starred)
    counts: dict[bool, int] = dict(counted.tuples())
    starred, others = counts.get(True, 0), counts.get(False, 0)
    size = discarding.bytes_without_star(services().storage, job_id) if starred and others else 0
    return {"starred": starred, "others": others, "bytes": size}


def seconds_left(discard: Discard) -> float:
    """The seconds in which a discard can still be undone, also if the clock was set since then."""
    left: timedelta = discard.expires_at - utc_now()
    return min(max(0.0, round(left.total_seconds(), 1)), discards.SECONDS)


FILTERS = {"seconds_left": seconds_left}
