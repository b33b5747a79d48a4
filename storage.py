"""The storage folder: the one place that knows where files are, and puts them there whole."""

import hashlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from settings import Settings, get_settings

LOG_NAME = "generator.log"
BLOCK = 1024 * 1024
FULL_BYTES = 4 * 1024 * 1024


class Storage:
    """Files below STORAGE_DIR; records hold paths relative to it, with / between folders."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.root = (settings or get_settings()).storage_dir.resolve()

    def job_folder(self, job_id: str) -> Path:
        """Where everything of a job is; ids have no / and are neither . nor .., so it is below jobs/."""
        return self.root / "jobs" / job_id

    def log(self, job_id: str) -> Path:
        """What the job's generator prints."""
        return self.job_folder(job_id) / LOG_NAME

    def relative(self, path: Path) -> str:
        """The path as records hold it."""
        return path.relative_to(self.root).as_posix()

    def open(self, name: str | Path) -> BinaryIO | None:
        """A file below the root to read, or None: nothing outside, no link, FIFO or device is ever opened."""
        try:
            path = (self.root / name).parent.resolve(strict=True) / Path(name).name
            if not path.is_relative_to(self.root):
                return None
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            return None
        return os.fdopen(handle, "rb")

    def is_full(self) -> bool:
        """True when hardly anything more can be written."""
        return shutil.disk_usage(self.root).free < FULL_BYTES

    def attempt(self, job_id: str, lease_token: str) -> Path:
        """The folder of the tracks an attempt makes, named by its lease: no two attempts share one."""
        return self.job_folder(job_id) / lease_token.rpartition("-")[2][:12]

    def workshop(self, job_id: str, lease_token: str) -> Path:
        """Where an attempt keeps what is not finished."""
        made = self.attempt(job_id, lease_token)
        return made.with_name(f".{made.name}")

    def remove_attempt(self, job_id: str, lease_token: str) -> None:
        """Remove all files of an attempt that came to nothing."""
        shutil.rmtree(self.workshop(job_id, lease_token), ignore_errors=True)
        shutil.rmtree(self.attempt(job_id, lease_token), ignore_errors=True)


def publish(work: Path, final: Path) -> None:
    """Give a finished folder its final name: every file is on disk before the name is."""
    for path in sorted(work.rglob("*")):
        sync(path)
    sync(work)
    os.rename(work, final)
    sync(final.parent)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """A file name of letters, digits, - and _, from any text; 'track' when nothing is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "track"
