"""Receives what is selected in a list. With JavaScript, the pages call REST, apart from deleting jobs."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from errors import Invalid
from web import schemas
from web.actions import act_on_jobs, act_on_tracks
from web.pages.forms import own_address, read_fields
from web.pages.routes import Routes
from web.texts import fields_of

routes = Routes()
MOST = 200  # records, as REST allows


@dataclass(frozen=True)
class Selection:
    """What a form says: the action, the ids of the records, the address of the list, and the answers to questions."""

    action: str
    ids: list[str]
    back: str
    is_sure: bool
    with_files: bool


@routes.post("/jobs/actions", defaults={"kind": "job"})
@routes.post("/tracks/actions", defaults={"kind": "track"})
def act_on_selection(kind: str) -> ResponseReturnValue:
    """Do something with all selected records. It asks before it deletes, and says what was refused."""
    selection = _read(kind)
    if not selection.ids:
        raise Invalid(f"No {kind} is selected: tick the box of at least one row.", "id")
    if len(selection.ids) > MOST:
        raise Invalid(f"{len(selection.ids)} {kind}s are selected: select at most {MOST}.", "id")
    if selection.action == "download":
        ids = [(f"{kind}_id", record_id) for record_id in selection.ids]
        return redirect(f"/api/tracks.zip?{urlencode(ids)}", 303)
    if selection.action == "delete" and not selection.is_sure:
        return render_template("selected.html", kind=kind, selection=selection)
    result = _act(kind, selection)
    if result["refused"]:
        return render_template("refused.html", kind=kind, result=result, back=selection.back)
    discard = result["discard"]
    return redirect(with_discard(selection.back, discard["discard_id"]) if discard else selection.back, 303)


def with_discard(address: str, discard_id: str) -> str:
    """The address of a list that offers to bring deleted tracks back."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'discard': discard_id})}"


def _act(kind: str, selection: Selection) -> dict[str, Any]:
    """The same as REST does. Raises Invalid."""
    body = {"action": selection.action, "ids": selection.ids}
    if kind == "track":
        return act_on_tracks(**fields_of(schemas.TrackActions, body))
    return act_on_jobs(**fields_of(schemas.JobActions, {**body, "files": selection.with_files}))


def _read(kind: str) -> Selection:
    """The fields of the form. The box of a row of tracks has the ids of all its takes."""
    fields = read_fields()
    last = dict(fields)
    ids = [record_id for name, value in fields if name == "id" for record_id in value.split()]
    home = url_for("pages.show_jobs" if kind == "job" else "pages.show_tracks")
    return Selection(
        action=last.get("action", ""),
        ids=list(dict.fromkeys(ids)),
        back=own_address(last.get("back", home)),
        is_sure=last.get("sure") == "true",
        with_files=last.get("files") == "true",
    )
