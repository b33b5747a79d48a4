"""The candidates in the analysis of a loop: the best seams of its track. A script may have written anything there."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from errors import NotFound, WrongStatus
from files.derived import Recipe, seam_outline, seam_preview
from models import CANDIDATES, LOOP_STATUSES, Loop

AROUND = 3.0  # seconds of a preview before and after the cut; the longest crossfade
SHA256 = re.compile("[0-9a-f]{64}")
Seconds = Annotated[float, Field(ge=0, le=1_000_000)]


class Candidate(BaseModel):
    """A seam: after `end`, the music continues at `start`. The `crossfade` seconds before both are mixed.

    beats: the number of beats in one round. beat_error_ms: how far the seam moves the beat, in milliseconds.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    start: Seconds
    end: Seconds
    crossfade: Annotated[float, Field(ge=0, le=AROUND)]
    beats: int | None = None
    quality: str | None = None
    beat_error_ms: float | None = None

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        """Raise ValueError if there is not enough sound before the start, or from start to end, for the crossfade."""
        if not self.crossfade <= min(self.start, self.end - self.start):
            raise ValueError("there is no room for the crossfade")
        return self


def candidates_of(loop: Loop) -> dict[int, Candidate]:
    """The candidates of a loop by their number from 1, the best first. Invalid candidates are left out."""
    listed = loop.analysis.get("candidates")
    read = [_candidate(value) for value in listed[:CANDIDATES]] if isinstance(listed, list) else []
    return {number: candidate for number, candidate in enumerate(read, 1) if candidate is not None}


def playable(loop: Loop) -> dict[int, Candidate]:
    """The candidates of a completed loop whose seams can be heard, because the analysis says from what it was cut."""
    is_source_known = SHA256.fullmatch(str(loop.analysis.get("source_sha256")))
    return candidates_of(loop) if loop.status == LOOP_STATUSES.completed and is_source_known else {}


def preview_of(loop: Loop, number: int) -> Recipe:
    """How the sound around the seam of a candidate is made. Raises WrongStatus, NotFound."""
    seam = candidate_of(loop, number)
    return seam_preview(seam.start, seam.end, seam.crossfade, loop.analysis["source_sha256"])


def outline_of(loop: Loop, seam: Candidate) -> Recipe:
    """How the outline of the sound at a seam of a loop is made."""
    return seam_outline(seam.start, seam.end, loop.analysis["source_sha256"])


def seam_of(loop: Loop) -> Candidate:
    """The seam of a completed loop. Raises WrongStatus, NotFound."""
    require_completed(loop, "a seam")
    seam = _candidate(loop.analysis)
    if seam is None or not SHA256.fullmatch(str(loop.analysis.get("source_sha256"))):
        raise NotFound("The analysis of this loop has no seam: make the loop again.")
    return seam


def candidate_of(loop: Loop, number: int) -> Candidate:
    """A candidate of a completed loop. Raises WrongStatus, NotFound."""
    require_completed(loop, "candidates")
    candidates = playable(loop)
    if not candidates:
        raise NotFound("The analysis of this loop has no candidates: make the loop again.")
    seam = candidates.get(number)
    if seam is None:
        raise NotFound(f"This loop has no candidate {number}: it has {', '.join(map(str, candidates))}.")
    return seam


def require_completed(loop: Loop, what: str) -> None:
    """Raise WrongStatus if a loop is not completed; what: what it would have then."""
    if loop.status != LOOP_STATUSES.completed:
        raise WrongStatus(f"This loop is {loop.status}: only a completed loop has {what}.")


def _candidate(value: object) -> Candidate | None:
    """The candidate. None if the value is not a valid candidate."""
    try:
        return Candidate.model_validate(value)
    except ValidationError:
        return None
