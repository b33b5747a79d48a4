"""The pages of tracks: the list, in which the takes of a job share a row, and the page of one track."""

from typing import Any
from urllib.parse import urlencode

from flask import render_template, request, url_for

from models import Discard
from records import discards
from records.finding import TrackQuery
from records.library import Group, Library
from repos import JobRepository, LoopRepository, Page, TrackRepository
from web import schemas
from web.answers import cursor_at, position, require
from web.pages.routes import Routes
from web.pages.track_rows import row_of
from web.pages.wording import brief
from web.reading import validate_query
from web.titles import name_of

routes = Routes()
jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
ROWS = 50
LOOPS = 50  # of a track on its page
TYPES = 8  # of jobs, as links
MOST_STARRED = 1000
OTHERS = (("seed", "seed"), ("job_id", "job"))  # parameters that have a link only while they narrow the list
NAMES = ("q", "genre", "job_type", "seed", "starred", "job_id", "sort")  # the parameters that are kept in links
SORTS = {
    "-created_at": "Newest first",
    "created_at": "Oldest first",
    "-duration": "Longest first",
    "duration": "Shortest first",
    "title": "By title",
}


@routes.get("/tracks")
def show_tracks() -> str:
    """The tracks: a row for each job, newest first, narrowed by words, star, generator, genre, seed and job."""
    filters = _filters()
    query: schemas.TrackList = validate_query(schemas.TrackList, {**filters, **_cursor_of_request()})
    library = Library(_track_query(query))
    read = library.groups(_page(query))
    matching = library.matching(read)
    shows_lead = bool(set(filters) & {"q", "genre", "seed", "starred"}) or not query.sort.endswith("created_at")
    return render_template(
        "tracks.html",
        rows=[row_of(group, shows_lead, matching) for group in read[:ROWS]],
        next=_address({**filters, "cursor": _after(query.sort, read[ROWS - 1])}) if len(read) > ROWS else None,
        here=_address(filters),
        is_narrowed=bool(set(filters) - {"sort"}),
        shows_all_starred={name: value for name, value in filters.items() if name != "sort"} == {"starred": "true"},
        query=query,
        filters=filters,
        sorts=SORTS,
        chips=_chips(filters, library),
        discard=_waiting_discard(request.args.get("discard", "").replace("\0", "")),
    )


@routes.get("/tracks/<id:track_id>")
def show_track(track_id: str) -> str:
    """A track, its loops and how it was made."""
    return track_page(track_id)


def track_page(track_id: str, title: str | None = None, errors: dict[str, str] | None = None) -> str:
    """The page of a track. title: what was typed into the field, which has these errors. Raises NotFound."""
    track = require(tracks.get_by_id(track_id))
    job = require(jobs.get_by_id(track.__data__["job"]))
    return render_template(
        "track.html",
        track=track,
        job=job,
        name=brief(name_of(track, job), 200),
        title=(track.title or "") if title is None else title,
        errors=errors or {},
        loop_errors={},
        loops=loops.of_tracks([track_id]).get(track_id, [])[:LOOPS],
    )


def _waiting_discard(discard_id: str) -> Discard | None:
    """The discard of tracks that were deleted on this page, if they can still come back."""
    discard = discards.get(discard_id) if discard_id else None
    return discard if discard and discard.state == discards.WAITING else None


def _filters() -> dict[str, str]:
    """The parameters of the query that have a value, without the cursor."""
    values = {name: request.args.get(name, "").replace("\0", "").strip() for name in NAMES}
    return {name: value for name, value in values.items() if value}


def _cursor_of_request() -> dict[str, str]:
    cursor = request.args.get("cursor", "").replace("\0", "")
    return {"cursor": cursor} if cursor else {}


def _track_query(query: schemas.TrackList) -> TrackQuery:
    return TrackQuery(query.q, query.genre, query.job_type, query.seed, query.starred, query.job_id)


def _page(query: schemas.TrackList) -> Page:
    """The page of a query with one more row. If there is one, the list goes on."""
    return Page(query.sort.lstrip("-"), query.sort.startswith("-"), ROWS + 1, 0, position(query.cursor, query.sort))


def _after(sort: str, group: Group) -> str:
    """The cursor of the page that follows a group."""
    return cursor_at(sort, *group.place)


def _chips(filters: dict[str, str], library: Library) -> list[dict[str, Any]]:
    """The links that narrow the list: all, starred, generators, genres, and what else it is narrowed by."""
    starred = library.count_starred(MOST_STARRED)
    number = f"{starred:,}" if starred < MOST_STARRED else f"{MOST_STARRED:,}+"
    sort = {name: value for name, value in filters.items() if name == "sort"}
    return [
        {"name": "All", "count": f"{tracks.count():,}", "url": _address(sort), "current": filters == sort},
        {"star": True, "count": number, **_chip(filters, "starred", "true", "Starred")},
        *(_chip(filters, "job_type", name, name) for name in _with(jobs.types(TYPES), filters, "job_type")),
        *(_chip(filters, "genre", name, brief(name, 40)) for name in _with(library.genres(), filters, "genre")),
        *(
            _chip(filters, name, filters[name], f"{name.removesuffix('_id')} {filters[name]}")
            for name in ("seed", "job_id")
            if name in filters
        ),
    ]


def _with(names: list[str], filters: dict[str, str], key: str) -> list[str]:
    """The names, and the one that the list is narrowed by."""
    value = filters.get(key)
    return names if value is None or value in names else [*names, value]


def _chip(filters: dict[str, str], key: str, value: str, name: str) -> dict[str, Any]:
    """A link that narrows the list by this value. If the list is narrowed by it already, the link undoes that."""
    is_current = filters.get(key) == value
    others = {other: kept for other, kept in filters.items() if other != key}
    return {"name": name, "url": _address(others if is_current else {**others, key: value}), "current": is_current}


def _address(parameters: dict[str, str]) -> str:
    """The URL of the list with these parameters."""
    return f"{url_for('pages.show_tracks')}{'?' if parameters else ''}{urlencode(parameters)}"
