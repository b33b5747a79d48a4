"""Restores a PostgreSQL database: into a new database, which then takes the name of the present one."""

from contextlib import suppress
from typing import Any

from errors import BackupFailed
from files.storage import sha256
from maintenance.manifest import Backup, contents_of
from maintenance.postgresql_copy import NAMES, connected, run_tool, tool
from maintenance.reports import Report
from maintenance.stored_files import StoredFiles
from models import utc_now

RESTORE_LOCK = 0x4C454452  # any number that nothing else on the server locks
KEPT_BYTES = 30  # of a name: with what is added to it, it may have 63
IN_USE = (
    "The PostgreSQL database is in use: stop the service, its workers and every script that uses it, then repeat the "
    "command."
)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
PRESENT = """SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
    WHERE datname = %s"""


def restore(url: str, backup: Backup, files: StoredFiles, report: Report) -> str | None:
    """Replace the database by that of a backup. The missing files are added when the new database is complete.

    Returns the name that the database before it has now; None if there was none. Raises BackupFailed, SchemaTooNew.
    """
    tool("pg_restore")  # it raises if there is none
    if backup.manifest:
        backup.require_digest(sha256(backup.database))
    name = _name(url)
    with connected(_url(url, "postgres" if name != "postgres" else "template1")) as server:
        if not server.execute("SELECT pg_try_advisory_lock(%s)", (RESTORE_LOCK,)).fetchone()[0]:
            raise BackupFailed("Another restore runs on this PostgreSQL server: repeat the command when it has ended.")
        if server.execute(SESSIONS, (name,)).fetchone()[0]:
            raise BackupFailed(IN_USE)
        new = f"{_short(name)}_restoring"
        try:
            _create(server, new, server.execute(PRESENT, (name,)).fetchone())
            _fill(_url(url, new), backup, report)
            files.add_missing()
            with files.before_replacing():
                return _swap(server, name, new)
        finally:
            with suppress(Exception):  # the reason of the failure is raised
                _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", new)


def _create(server: Any, new: str, present: tuple[str, ...] | None) -> None:
    """Create an empty database like the present one. Deletes what a killed restore left."""
    from psycopg import sql

    _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", new)
    like = sql.SQL("").format()
    if present is not None:
        like = sql.SQL("OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Identifier(present[0]), *map(sql.Literal, present[1:])
        )
    _run(server, "CREATE DATABASE {} TEMPLATE template0", new, like)


def _fill(url: str, backup: Backup, report: Report) -> None:
    """Fill the new database, and compare it with the manifest. Raises BackupFailed, SchemaTooNew."""
    report("restoring the database", 0, 1)
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    run_tool("pg_restore", url, *options, str(backup.database))
    with connected(url) as connection:
        backup.compare(contents_of(connection, NAMES))
        connection.execute("ANALYZE")
    report("restoring the database", 1, 1)


def _swap(server: Any, name: str, new: str) -> str | None:
    """Give the new database the name of the present one, in one transaction. Raises BackupFailed if that is in use."""
    from psycopg.errors import ObjectInUse

    before = f"{_short(name)}_before_{utc_now():%Y%m%dT%H%M%S%fZ}"
    try:
        with server.transaction():
            is_there = server.execute(PRESENT, (name,)).fetchone() is not None
            if is_there:
                _run(server, "ALTER DATABASE {} RENAME TO {}", name, before)
            _run(server, "ALTER DATABASE {} RENAME TO {}", new, name)
    except ObjectInUse:
        raise BackupFailed(IN_USE) from None
    return before if is_there else None


def _run(server: Any, statement: str, *names: Any) -> None:
    """Run a statement with these names of databases in it; a last part that is SQL already comes at its end."""
    from psycopg import sql

    *identifiers, last = names if not isinstance(names[-1], str) else (*names, None)
    text = sql.SQL(statement).format(*map(sql.Identifier, identifiers))
    server.execute(text + sql.SQL(" ") + last if last else text)


def _name(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(url).get("dbname") or "postgres")


def _url(url: str, name: str) -> str:
    """The address of another database of the same server."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(url, dbname=name)


def _short(name: str) -> str:
    return name.encode()[:KEPT_BYTES].decode(errors="ignore")
