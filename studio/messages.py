"""The protocol of warm generators: a JSON object in each line, requests to them and messages from them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models import JOB_STATUSES
from studio.output import CONTROL

STAGES = JOB_STATUSES.steps[1:-1]
ERROR_CHARACTERS = 2000


@dataclass(frozen=True)
class Message:
    """What a warm generator said: a percentage (0 to 100), a stage (a status of jobs), or the text of a printed line.

    The last message about a request is done, and has the sentence of an error if there was one.
    """

    percent: int | None = None
    stage: str | None = None
    text: str = ""
    is_last: bool = False
    error: str | None = None


LOADING = Message(stage="loading_model")
READY = Message(stage="preparing_prompt")  # the model is loaded


def request_line(order: Mapping[str, Any], request_id: str) -> bytes:
    """The line for a request."""
    return json.dumps({**order, "id": request_id}).encode() + b"\n"


def read_message(line: bytes, request_id: str | None) -> Message | None:
    """The message about this request in a line, or READY. None for everything else that a process may print."""
    try:
        fields = json.loads(line) if line.lstrip().startswith(b"{") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if fields.get("ready") is True:
        return READY
    return _about(fields) if request_id is not None and fields.get("id") == request_id else None


def _about(fields: dict[str, Any]) -> Message | None:
    """The message with these fields; None if they say nothing that we know."""
    if fields.get("error"):
        return Message(is_last=True, error=_sentence(fields["error"]))
    if fields.get("done") is True:
        return Message(is_last=True)
    percent, stage = _percent(fields.get("progress")), fields.get("stage")
    stage = stage if stage in STAGES else None
    return Message(percent, stage) if percent is not None or stage else None


def _percent(value: Any) -> int | None:
    """A percentage; None for anything else than a number from 0 to 100."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value <= 100 else None


def _sentence(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return CONTROL.sub(" ", text)[:ERROR_CHARACTERS].strip() or "the generator failed and did not say why"
