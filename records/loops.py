"""LoopRepository: creates, reads, changes and claims loops."""

from collections.abc import Iterable, Sequence
from typing import Any

from database.refusals import EXPECTED, rules_named
from errors import Invalid
from models import Loop, Track
from records.leases import WorkRepository
from records.repository import children_by_parent
from records.rows import Row
from records.tracks import TrackRepository


class LoopRepository(WorkRepository[Loop]):
    """The repository of loops."""

    model = Loop
    order_fields = frozenset({"candidate", "start", "end", "exact", "bars", "intro"})

    def create_row(self, fields: dict[str, Any]) -> tuple[Row, bool]:
        """The same as in Repository. Raises Invalid also for a seam after the end of the track.

        Does not check a repeated request for an existing loop.
        """
        with rules_named(self.model):
            if fields.get("end") is not None and not self._exists(fields.get("loop_id")):
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

    def _check_change(self, record_id: str, changes: dict[str, Any]) -> None:
        """Raise Invalid if the seam would end after the track."""
        with rules_named(self.model):
            loop = self.get_by_id(record_id) if {"end", "track", "track_id"} & changes.keys() else None
            if loop is not None:
                self._require_end_in_track({**loop.__data__, **changes})

    def _row(self, fields: dict[str, Any]) -> dict[str, Any]:
        row = super()._row(fields)
        return row | {name: _seconds(row, name) for name in ("start", "end") if name in row}

    def _exists(self, loop_id: str | None) -> bool:
        return loop_id is not None and self.get_value(str(loop_id), "loop_id") is not None

    def _require_end_in_track(self, fields: dict[str, Any]) -> None:
        """Raise Invalid if the seam ends after the track.

        The duration of the track may be unknown, or change later: then the looper refuses the seam.
        """
        end, track = _seconds(fields, "end"), fields.get("track_id", fields.get("track"))
        if track is None or end is None:
            return
        track_id = track.track_id if isinstance(track, Track) else str(track)
        seconds = TrackRepository(self.session).get_value(track_id, "duration")
        if seconds is not None and end > seconds:
            raise Invalid(f"end must be at most {seconds:g}, the duration of the track in seconds", "end")


def _seconds(fields: dict[str, Any], name: str) -> float | None:
    """The value of a field as a number, also from text; None if there is none. Raises Invalid."""
    value = fields.get(name)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"{name} must be {EXPECTED[name]}", name) from None
