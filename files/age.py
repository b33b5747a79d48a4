"""The age of files that are removed when they are old."""

import os
import time
from contextlib import suppress
from pathlib import Path

AHEAD_SECONDS = 86_400.0


def age(path: Path) -> float:
    """The seconds since a file was changed. Raises FileNotFoundError.

    A file that is dated more than a day ahead was written while the clock was wrong. It gets the present time, so that
    it is neither removed too early nor kept until then.
    """
    now = time.time()
    seconds = now - path.lstat().st_mtime
    if seconds >= -AHEAD_SECONDS:
        return seconds
    with suppress(OSError):  # another user owns it
        os.utime(path, (now, now), follow_symlinks=False)
    return 0.0
