"""Jobs that are made again have the uploaded reference recording of the first job."""

from typing import Any

from files.references import copy_reference, has_reference
from files.refusals import storage_errors
from models import new_id
from web.current import services


def with_reference(job_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job that makes a job again. If that has a recording, the new job has it by now, and a job_id.

    A recording that was uploaded for the new job_id stays. Raises StorageFull, StorageUnusable.
    """
    storage = services().storage
    if not has_reference(storage, job_id):
        return fields
    fields = {"job_id": new_id(), **fields}
    with storage_errors():
        copy_reference(storage, job_id, fields["job_id"])
    return fields
