"""The manifest of a backup: what the backup has, so that a restore can compare it."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ValidationError

from database import HISTORY, available_migrations
from errors import BackupFailed, SchemaTooNew
from files.publishing import sync
from settings import Settings

SUFFIX = ".json"  # of the manifest beside a backup that is one file
IN_FOLDER = "manifest.json"  # the manifest of a backup that is a folder
DATABASES = {"sqlite": "ledger.db", "postgresql": "ledger.dump"}  # the database in such a folder
FILES = "files"  # the copies of the storage folder in such a folder
NOT_OURS = "This is no database of this service, or it was made by a development version before the first release."
TABLES = {"jobs": "job", "tracks": "track", "loops": "loop", "events": "event"}


def _path_inside(name: str) -> str:
    """The path, if it stays in its folder and no part of it is hidden at the top. Raises ValueError."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name.startswith(".") or "\0" in name or str(path) != name:
        raise ValueError("expected a path in the storage folder")
    return name


class Copied(BaseModel):
    """A file in a backup: its path in the storage folder, its bytes and its SHA-256."""

    path: Annotated[str, AfterValidator(_path_inside)]
    size: int
    sha256: str


class Manifest(BaseModel):
    """What a backup has. `files` is None if the backup has the database alone."""

    made_at: AwareDatetime
    program: str
    database: Literal["sqlite", "postgresql"]
    size: int
    sha256: str
    migrations: list[str]
    counts: dict[str, int]
    files: list[Copied] | None = None

    def write(self, path: Path) -> None:
        """Write the manifest to a new file, and that to disk."""
        with path.open("x", encoding="ascii") as file:
            file.write(self.model_dump_json(indent=1, ensure_ascii=True) + "\n")
        sync(path)


@dataclass(frozen=True)
class Contents:
    """What a database has: the names of its migrations, and the number of rows in each of TABLES."""

    migrations: list[str]
    counts: dict[str, int]


def contents_of(connection: Any, names: str) -> Contents:
    """What the database of this connection has. names: the query of the names of its tables.

    Raises BackupFailed if it is not a database of this service.
    """

    def column(query: str) -> list[Any]:
        return [value for (value,) in connection.execute(query).fetchall()]

    if not {HISTORY, "tally", *TABLES.values()} <= set(column(names)):
        raise BackupFailed(NOT_OURS)
    counts = {key: int(column(f"SELECT count(*) FROM {table}")[0]) for key, table in TABLES.items()}
    return Contents(sorted(column(f"SELECT name FROM {HISTORY}")), counts)


class Backup:
    """A backup on disk. It may be a file with its manifest beside it, a folder, or a database without a manifest.

    Raises BackupFailed if there is nothing that can be a backup at this path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise BackupFailed(f"There is no backup {path}: check the path.")
        is_folder = path.is_dir()
        self.manifest = read_manifest(path / IN_FOLDER if is_folder else manifest_beside(path))
        if is_folder and self.manifest is None:
            raise BackupFailed(f"{path} is not a complete backup: it has no {IN_FOLDER}.")
        self.database = path / DATABASES[self.manifest.database] if is_folder and self.manifest else path
        self.files = path / FILES

    @property
    def kind(self) -> str:
        """The kind of its database: sqlite or postgresql."""
        if self.manifest is not None:
            return self.manifest.database
        with self.database.open("rb") as file:
            return "postgresql" if file.read(5) == b"PGDMP" else "sqlite"

    def require_digest(self, digest: str) -> None:
        """Raise BackupFailed if the manifest has another SHA-256 of the database."""
        if self.manifest and digest != self.manifest.sha256:
            raise BackupFailed(f"{self.database} is damaged (its checksum is wrong): use another backup.")

    def compare(self, contents: Contents) -> None:
        """Raise BackupFailed if a database has not what the manifest says; SchemaTooNew if this program is too old."""
        unknown = sorted(set(contents.migrations) - set(available_migrations()))
        if unknown:
            raise SchemaTooNew(
                f"The backup was written by a newer version of this program (it has {unknown[-1]}): use that version."
            )
        if self.manifest and contents != Contents(self.manifest.migrations, self.manifest.counts):
            raise BackupFailed(f"{self.path} does not match its manifest: use another backup.")

    def is_good(self) -> bool:
        """True if it was checked when it was made, and its database still has the same size."""
        try:
            return self.manifest is not None and self.database.stat().st_size == self.manifest.size
        except OSError:
            return False


def kind_of(settings: Settings) -> Literal["sqlite", "postgresql"]:
    """The kind of database of these settings, as a manifest has it."""
    return "postgresql" if settings.is_postgresql else "sqlite"


def manifest_beside(path: Path) -> Path:
    """The path of the manifest of a backup that is one file."""
    return path.with_name(path.name + SUFFIX)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in this file; None without the file. Raises BackupFailed if it cannot be read."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError):
        raise BackupFailed(f"The manifest {path} is damaged: use another backup.") from None
