"""LoopRepository: creates, reads, changes and claims loops."""

from collections.abc import Iterable, Sequence
from typing import Any

from models import Loop
from records.leases import WorkRepository
from records.repository import children_by_parent


class LoopRepository(WorkRepository[Loop]):
    """The repository of loops."""

    model = Loop

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
