"""The interface for scripts: the repositories of jobs, tracks and loops, sessions, statistics, and JobStore."""

from records.finding import TrackQuery
from records.jobs import COUNTED, JobRepository
from records.loops import LoopRepository
from records.pages import Page
from records.pause import is_paused, set_paused
from records.session import Session, get_session
from records.stats import stats
from records.store import JobStore
from records.track_search import TrackSearch
from records.tracks import TrackRepository

__all__ = [
    "COUNTED",
    "JobRepository",
    "JobStore",
    "LoopRepository",
    "Page",
    "Session",
    "TrackQuery",
    "TrackRepository",
    "TrackSearch",
    "get_session",
    "is_paused",
    "set_paused",
    "stats",
]
