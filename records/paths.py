"""Says which files belong to tracks and loops, or to those that can still come back."""

from collections.abc import Sequence

from database import database
from records.discards import WAITING
from records.writes import marks, placed

COLUMNS = (("track", "file_path_wav"), ("track", "file_path_mp3"), ("loop", "result_path"))
CAN_COME_BACK = f"discard_id IN (SELECT discard_id FROM discard WHERE state = '{WAITING}')"


def names_in_use(names: Sequence[str]) -> set[str]:
    """Those of these paths that a track or a loop names, now or after the undo of its discard.

    One statement reads all, because between two statements a record could move from one table to another.
    """
    if not names:
        return set()
    places = marks(names)
    present = [f"SELECT {column} FROM {table} WHERE {column} IN ({places})" for table, column in COLUMNS]
    discarded = [
        f"SELECT {column} FROM discarded_{table} WHERE {column} IN ({places}) AND {CAN_COME_BACK}"
        for table, column in COLUMNS
    ]
    statement = placed(" UNION ALL ".join(present + discarded))
    return {name for (name,) in database.execute_sql(statement, [*names] * len(COLUMNS) * 2).fetchall()}


def tracks_in_use(track_ids: Sequence[str]) -> set[str]:
    """Those of these tracks that exist now, or after the undo of their discard. One statement reads all."""
    if not track_ids:
        return set()
    among = f"track_id IN ({marks(track_ids)})"
    discarded = f"SELECT track_id FROM discarded_track WHERE {among} AND {CAN_COME_BACK}"
    statement = placed(f"SELECT track_id FROM track WHERE {among} UNION ALL {discarded}")
    return {track_id for (track_id,) in database.execute_sql(statement, [*track_ids] * 2).fetchall()}
