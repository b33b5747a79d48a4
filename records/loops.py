"""LoopRepository: creates, reads, changes and claims loops."""

from collections.abc import Iterable, Sequence
from typing import Any

from errors import Invalid
from models import Loop, Track
from records.leases import WorkRepository
from records.repository import children_by_parent
from records.rows import Row
from records.tracks import TrackRepository


class LoopRepository(WorkRepository[Loop]):
    """The repository of loops."""

    model = Loop

    def create_row(self, fields: dict[str, Any]) -> tuple[Row, bool]:
        """The same as in Repository. Raises Invalid also for a seam after the end of the track."""
        self._require_end_in_track(fields)
        return super().create_row(fields)

    def update(
        self, loop_id: str, if_match: Sequence[int] | None = None, lease_token: str | None = None, **changes: Any
    ) -> Loop | None:
        """Change a loop. Returns it, or None if it does not exist.

        Raises WrongStatus, LeaseLost, Invalid, Stale, MissingParent.
        """
        return self._update(loop_id, changes, if_match, lease_token)

    def get_by_track_id(self, track_id: str) -> list[Loop]:
        """The loops of a track, oldest first."""
        return self.of_tracks([track_id]).get(track_id, [])

    def of_tracks(self, track_ids: Iterable[str]) -> dict[str, list[Loop]]:
        """The loops of several tracks by track id, oldest first, in one statement."""
        return children_by_parent(Loop, "track", track_ids)

    def _require_end_in_track(self, fields: dict[str, Any]) -> None:
        """Raise Invalid if a new loop ends after its track. A loop that exists is not new, although it is sent again.

        The duration of the track may be unknown, or change later: then the looper refuses the seam.
        """
        end, track = fields.get("end"), fields.get("track_id", fields.get("track"))
        if end is None or track is None:
            return
        track_id = track.track_id if isinstance(track, Track) else track
        seconds = TrackRepository(self.session).get_value(track_id, "duration")
        is_new = "loop_id" not in fields or self.get_value(fields["loop_id"], "loop_id") is None
        if seconds is not None and end > seconds and is_new:
            raise Invalid(f"end must be at most {seconds:g}, the duration of the track in seconds", "end")
