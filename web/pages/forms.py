"""Receives the forms of the dashboard. Browsers without JavaScript send them; with JavaScript, the pages call REST."""

from typing import Any
from urllib.parse import parse_qsl

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from errors import Invalid, Malformed, TooManySignIns, UnsupportedMediaType, WrongToken
from files import deletion
from generators.catalogue import catalogue
from records.again import again_job, again_track
from web import guard, orders, schemas
from web.again import with_reference
from web.answers import require
from web.current import services
from web.pages.entries import job_of, loop_of
from web.pages.new_job import new_job_page
from web.pages.pages import REPOS, home_of, job_page, jobs, loops, tracks
from web.pages.routes import Routes
from web.reading import BODY_BYTES, STRANGER_BYTES, raw_body
from web.texts import fields_of

routes = Routes()
DELETE = {"job": deletion.delete_job, "track": deletion.delete_track, "loop": deletion.delete_loop}
COOKIE_SECONDS = 400 * 24 * 3600  # browsers keep none for longer; the service ends unused sessions much earlier
FIELDS = 300


@routes.post("/jobs")
def make_job() -> ResponseReturnValue:
    """Record the job of the form, or show the form with its errors."""
    form, settings = read_form(), services().settings
    try:
        fields = fields_of(schemas.NewJob, job_of(form, catalogue(settings).get(form.get("job_type", ""))))
        orders.check_new(settings, fields)
        job = jobs.create(**fields)
    except Invalid as error:
        return new_job_page(form, by_field(error)), 422
    return redirect(home_of(job), 303)


@routes.post("/new")
def show_fields() -> ResponseReturnValue:
    """The form for a new job with the fields of the chosen type; its entries are kept."""
    return new_job_page(read_form(), {})


@routes.post("/jobs/<id:job_id>/again")
def make_job_again(job_id: str) -> ResponseReturnValue:
    """Record a job with the same fields, with a new seed or with the same one, and show it."""
    job = require(jobs.get_by_id(job_id))
    return _record(with_reference(job_id, again_job(job, same_seed=read_form().get("seed") == "same")))


@routes.post("/tracks/<id:track_id>/again")
def make_track_again(track_id: str) -> ResponseReturnValue:
    """Record a job that makes a track again, and show it."""
    track = require(tracks.get_by_id(track_id))
    job = require(jobs.get_by_id(track.__data__["job"]))
    return _record(with_reference(job.job_id, again_track(job, track)))


@routes.post("/tracks/<id:track_id>/loops")
def make_loop(track_id: str) -> ResponseReturnValue:
    """Order the loop of the form, or show the form with its errors."""
    form, track = read_form(), require(tracks.get_by_id(track_id))
    try:
        loops.create_once(track_id=track_id, **fields_of(schemas.LoopOfTrack, loop_of(form)))
    except Invalid as error:
        return job_page(track.__data__["job"], track_id, by_field(error)), 422
    return redirect(f"{home_of(track)}#track-{track_id}", 303)


@routes.post("/jobs/<id:record_id>/cancel", defaults={"kind": "job", "verb": "cancel"})
@routes.post("/jobs/<id:record_id>/retry", defaults={"kind": "job", "verb": "retry"})
@routes.post("/loops/<id:record_id>/cancel", defaults={"kind": "loop", "verb": "cancel"})
@routes.post("/loops/<id:record_id>/retry", defaults={"kind": "loop", "verb": "retry"})
def act(kind: str, verb: str, record_id: str) -> ResponseReturnValue:
    """Cancel or retry a job or loop. Then show the job."""
    return redirect(home_of(require(getattr(REPOS[kind], verb)(record_id))), 303)


@routes.post("/jobs/<id:record_id>/delete", defaults={"kind": "job"})
@routes.post("/tracks/<id:record_id>/delete", defaults={"kind": "track"})
@routes.post("/loops/<id:record_id>/delete", defaults={"kind": "loop"})
def delete(kind: str, record_id: str) -> ResponseReturnValue:
    """Delete a record and its children; also their files if the box is ticked."""
    with_files = read_form().get("files") == "true"
    record = require(REPOS[kind].get_by_id(record_id))
    back = url_for("pages.show_jobs") if kind == "job" else home_of(record)
    DELETE[kind](services().storage, record_id, None, with_files)
    return redirect(back, 303)


@routes.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    """The form that takes the token."""
    return render_template("sign_in.html", next=own_address(request.args.get("next", "")))


@routes.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Begin a session if the token is right. Its id is the cookie."""
    form, access = read_form(STRANGER_BYTES), services().access
    following = own_address(form.get("next", ""))
    answer = redirect(following, 303)
    if not access.is_protected():
        return answer
    client, before = guard.client(request.environ), guard.session_of(request.environ)
    try:
        session_id = access.begin_session(form.get("token", "").strip(), client, before)
    except WrongToken:
        return render_template("sign_in.html", next=following, refused="That is not a token of this service."), 401
    except TooManySignIns as error:
        page = render_template("sign_in.html", next=following, refused=str(error))
        return page, 429, {"Retry-After": str(error.retry_after)}
    answer.set_cookie(
        guard.COOKIE, session_id, COOKIE_SECONDS, secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return answer


@routes.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session of this browser, so that nobody can use its cookie any more. Raises TokensUnusable."""
    services().access.end_session(guard.session_of(request.environ))
    answer = redirect(url_for("pages.show_sign_in"), 303)
    answer.delete_cookie(guard.COOKIE, httponly=True, samesite="Strict")
    return answer


def read_form(limit: int = BODY_BYTES) -> dict[str, str]:
    """The fields of a form; of several with one name, the last. Raises the errors of read_fields()."""
    return dict(read_fields(limit))


def read_fields(limit: int = BODY_BYTES) -> list[tuple[str, str]]:
    """The names and values of a form, without U+0000, which PostgreSQL refuses.

    Raises UnsupportedMediaType, Malformed, and the errors of raw_body().
    """
    if request.content_length and request.mimetype != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("Send the form as application/x-www-form-urlencoded.")
    try:
        fields = parse_qsl(raw_body(limit).decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise Malformed("The form cannot be read.") from None
    return [(name, value.replace("\0", "")) for name, value in fields]


def _record(fields: dict[str, Any]) -> ResponseReturnValue:
    """Record a job and show it. Raises Invalid."""
    orders.check_new(services().settings, fields)
    return redirect(home_of(jobs.create(**fields)), 303)


def by_field(error: Invalid) -> dict[str, str]:
    """The messages by field of the form. A message that is not about a single field has the key ''."""
    messages = {problem["field"].removeprefix("metadata."): problem["message"] for problem in error.errors}
    return messages or {"": str(error)}


def own_address(address: str) -> str:
    """The address if it is a path on this service; else the address of the list."""
    is_own = address.startswith("/") and not address.startswith("//") and address.isprintable() and "\\" not in address
    return address if is_own else url_for("pages.show_jobs")
