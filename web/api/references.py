"""REST: the reference recordings that clients upload for jobs."""

from typing import Any

from flask import Response

from errors import NotFound
from files import references
from files.refusals import storage_errors
from web import downloads, schemas
from web.answers import json_answer
from web.current import services
from web.operations import Operations
from web.uploads import Upload

routes = Operations("/api")

WAV = ("audio/wav",)
SOUND: dict[int, Any] = {200: WAV, 206: WAV, 304: None}
MISSING = "The job has no uploaded reference recording: upload one with PUT."


@routes.route("GET", "/jobs/<id:job_id>/reference", answers=SOUND, problems=[404, 416])
def get_job_reference(job_id: str) -> Response:
    """The reference recording that was uploaded for a job: the whole WAV or a Range of it."""
    storage = services().storage
    file = storage.open(storage.reference(job_id))
    if file is None:
        raise NotFound(MISSING)
    return downloads.sound(file, "wav", f"{job_id} reference")


@routes.route(
    "PUT",
    "/jobs/<id:job_id>/reference",
    answers={201: schemas.Reference, 200: schemas.Reference},
    problems=[404, 409],
)
def put_job_reference(job_id: str, upload: Upload) -> Response:
    """Upload the reference recording of a job, before the job is recorded or while it is pending, failed or cancelled.

    A WAV is kept as it is. Any other file that can be decoded becomes a WAV.
    """
    storage, uploads = services().storage, services().track_files.uploads
    recording, is_new = references.receive_reference(storage, uploads, job_id, upload)
    answer = json_answer(recording, 201 if is_new else 200)
    answer.headers["Location"] = f"/api/jobs/{job_id}/reference"
    return answer


@routes.route("DELETE", "/jobs/<id:job_id>/reference", answers={204: None}, problems=[404, 409, 507])
def delete_job_reference(job_id: str) -> Response:
    """Remove the reference recording of a job that is pending, failed or cancelled, or that is not recorded."""
    with storage_errors():
        if not references.remove_reference(services().storage, job_id):
            raise NotFound(MISSING)
    return Response(status=204)
