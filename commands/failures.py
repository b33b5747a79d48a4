"""Ends a command with one sentence and exit code 1, and says whether a command of this service is being looked up."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from database import AWAY, bound_settings
from errors import DatabaseUnusable, LedgerError


@contextmanager
def exit_with_sentence(needs_database: bool = False) -> Iterator[None]:
    """Turn an error of this service into one line on stderr and exit code 1 in a command; raise it everywhere else.

    needs_database: refuse to begin if there is no database: in another folder, a command would make an empty one.
    """
    try:
        if needs_database:
            require_database()
        yield
    except BrokenPipeError:  # `flask jobs list | head -1`: click ends the command in silence
        raise
    except (LedgerError, *AWAY, OSError) as error:
        if click.get_current_context(silent=True) is None:
            raise
        sys.exit(_sentence(error))


def require_database() -> None:
    """Raise DatabaseUnusable if the SQLite file of the settings does not exist."""
    settings = bound_settings()
    path = settings.sqlite_path
    if not settings.is_postgresql and not (path.exists() or path.with_name(f"{path.name}.restored").exists()):
        raise DatabaseUnusable(
            f"There is no database {path.absolute()}: run the command in the folder of the service, or set DB_PATH. "
            "The first start of the service makes the database."
        )


def is_lookup() -> bool:
    """True while `flask` looks for a command of this service in the app; False in `flask run`, and in a server.

    Some commands work without the database, or when it is damaged. So the lookup must not open it.
    """
    context = click.get_current_context(silent=True)
    return context is not None and context.parent is None


def _sentence(error: Exception) -> str:
    """The error in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, LedgerError):
        return text
    if isinstance(error, FileNotFoundError):
        return f"There is no file {error.filename}: check the path."
    if isinstance(error, OSError):
        return f"A file cannot be used ({text}): check the path, the rights of this user, and the disk."
    return f"The database cannot be used ({text}): check that it runs and is not locked, then repeat the command."
