"""Copies of a PostgreSQL database, made by pg_dump and put back by pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from database import HISTORY
from errors import BackupFailed
from files.child import die_with_parent
from maintenance.manifest import TABLES, Contents, contents_of
from maintenance.reports import Report, silent

NAME = r'("(?:[^"]|"")+"|[^\s".]+)'
COPY = re.compile(rf"COPY {NAME}\.{NAME} \(")  # pg_restore writes the rows of each table after such a line
FAULT = re.compile("error:|ERROR:|FATAL:")
NAMES = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
END_OF_COPY = b"\\.\n"


def dump_database(url: str, target: Path, report: Report = silent) -> Contents:
    """Write the database as it is at one moment to a file, in the custom format of pg_dump. Returns what it has then.

    Writers do not wait. Raises BackupFailed.
    """
    with connected(url) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone()
        contents = contents_of(connection, NAMES)
        report("copying the database", 0, 1)
        run_tool("pg_dump", url, "--format=custom", f"--snapshot={snapshot}", f"--file={target}")
        report("copying the database", 1, 1)
        return contents


def current_schema(url: str) -> str:
    """The name of the schema in which the tables of this service are."""
    with connected(url) as connection:
        return str(connection.execute("SELECT current_schema()").fetchone()[0])


def check_dump(path: Path, schema: str) -> Contents:
    """Read a whole dump. Returns what this schema has in it. Raises BackupFailed if the dump is damaged."""
    rows: dict[str, int] = {}
    migrations: list[str] = []
    command = [tool("pg_restore"), "--data-only", "--file=-", str(path)]
    with TemporaryFile() as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        assert process.stdout is not None
        for table, line in _copied_rows(process.stdout, schema):
            rows[table] = rows.get(table, 0) + 1
            if table == HISTORY:
                migrations.append(line)
        if process.wait():
            errors.seek(0)
            raise BackupFailed(f"The dump {path.name} is damaged ({reason(errors.read())}): use another backup.")
    names = sorted(field for row in migrations for field in row.split("\t") if re.fullmatch(r"\d+_\w+", field))
    return Contents(names, {key: rows.get(table, 0) for key, table in TABLES.items()})


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A connection in autocommit, with a sentence for its errors."""
    import psycopg  # only a machine that uses PostgreSQL has it

    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.Error as error:
        raise BackupFailed(f"The PostgreSQL database cannot be copied or restored ({reason(str(error))}).") from None


def run_tool(name: str, url: str, *arguments: str) -> None:
    """Run pg_dump or pg_restore on a database; it ends with this process. Its password is not on the command line.

    Raises BackupFailed.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parameters: dict[str, Any] = conninfo_to_dict(url)
    password = parameters.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    command = [tool(name), "--no-password", f"--dbname={make_conninfo('', **parameters)}", *arguments]
    ended = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=die_with_parent
    )
    if ended.returncode:
        raise BackupFailed(
            f"{name} has failed ({reason(ended.stderr)}): correct this, then repeat the command. {name} must not be "
            "older than the server."
        )


def tool(name: str) -> str:
    """The path of a program of PostgreSQL. Raises BackupFailed if it is not on PATH."""
    path = shutil.which(name)
    if path is None:
        raise BackupFailed(
            f"{name} is not on PATH: install the client programs of PostgreSQL (Debian: postgresql-client), in the "
            "version of the server or newer, or add their folder to PATH."
        )
    return path


def reason(text: str | bytes) -> str:
    """The line of a message that has the reason: the first one that is marked as an error, or else the last one."""
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    lines = [line.strip() for line in decoded.splitlines() if line.strip()]
    return next(filter(FAULT.search, lines), lines[-1] if lines else "no reason")


def _copied_rows(lines: Any, schema: str) -> Iterator[tuple[str, str]]:
    """(table, row) for each row of this schema in the output of pg_restore. A row has no line breaks in it."""
    table = None
    is_ours = False
    for line in lines:
        if table is None:
            match = COPY.match(line.decode(errors="replace"))
            table = _plain(match[2]) if match else None
            is_ours = match is not None and _plain(match[1]) == schema
        elif line == END_OF_COPY:
            table = None
        elif is_ours:
            yield table, line.decode(errors="replace").rstrip("\n") if table == HISTORY else ""


def _plain(name: str) -> str:
    """A name in SQL without its quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
