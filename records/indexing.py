"""Adds jobs to SQLite's indexes: job_search has the words of prompts and the values of metadata.

Housekeeping adds them in batches, because adding one job alone takes ten times as long per job. Until then, a search
reads these jobs one by one. One transaction adds a batch and moves the mark. So several processes may do this at the
same time, and kill -9 does no harm. PostgreSQL indexes each job when it is written.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from database import database
from database.ledger.tables import SEARCHED
from database.letters import fold, words
from records.library_index import add_to_library

BATCH = 200  # jobs
BATCH_CHARACTERS = 200_000  # a batch with more ends early, so that other writers do not wait for long
# A token of a field has three characters of a plane for private use: each beginning of a token costs time.
TOKEN_BITS, TOKEN_START = 15, 0xF0000
UNREAD = chr(TOKEN_START)  # the token of a job whose metadata is too long for the index

COUNT_BEHIND = """SELECT max(coalesce((SELECT max(rowid) FROM job), 0) - job_rowid, 0)
    + (SELECT count(*) FROM search_stale) + (SELECT count(*) FROM library_stale) FROM search_mark"""
NEXT_WAITING = "SELECT rowid FROM job WHERE rowid > (SELECT job_rowid FROM search_mark) ORDER BY rowid LIMIT ?"
PROMPT = f"CAST(substr(prompt, 1, {SEARCHED}) AS BLOB)"  # bytes, as it may be no valid UTF-8
READ = f"""SELECT due.value, {PROMPT}, min(length(metadata), {SEARCHED} + 1)
    FROM json_each(?) AS due LEFT JOIN job ON job.rowid = due.value ORDER BY due.id"""
FIELDS = f"""SELECT job.rowid, tree.id, tree.parent, tree.key, tree.type, tree.atom
    FROM job, json_tree(job.metadata) AS tree
    WHERE job.rowid IN (SELECT value FROM json_each(?)) AND length(job.metadata) <= {SEARCHED}
    ORDER BY job.rowid, tree.id"""


def jobs_behind() -> int:
    """The largest possible number of jobs that are not in an index, or have changed since. Only for SQLite."""
    (number,) = database.execute_sql(COUNT_BEHIND).fetchone()
    return int(number)


def index_batch(limit: int = BATCH) -> None:
    """Add the next jobs to the index, and correct jobs that have changed; at most `limit` of each. Only for SQLite.

    It does the same for the index of tracks, where all jobs that need it count as changed.
    """
    with database.atomic():
        stale = _column("SELECT job_rowid FROM search_stale ORDER BY job_rowid LIMIT ?", limit)
        due = json.dumps(stale + _column(NEXT_WAITING, limit))
        rows = _short(database.execute_sql(READ, [due]).fetchall())
        for rowid in stale[: len(rows)]:
            database.execute_sql("DELETE FROM job_search WHERE rowid = ?", [rowid])
            database.execute_sql("DELETE FROM search_stale WHERE job_rowid = ?", [rowid])
        _add([row for row in rows if row[2] is not None])  # the others are deleted
        if rows:
            database.execute_sql("UPDATE search_mark SET job_rowid = max(job_rowid, ?)", [rows[-1][0]])
        changed = _column("SELECT job_rowid FROM library_stale ORDER BY job_rowid LIMIT ?", limit)
        if changed:
            add_to_library(changed, BATCH_CHARACTERS)


def field_token(path: str, value: str | float) -> str:
    """The token of a value at a dotted path.

    Equal numbers have the same token. Two different values may have the same token by chance.
    """
    text = f"{path}\0{value}" if isinstance(value, str) else f"{path}\1{float(value) + 0.0!r}"
    digest = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).digest())
    return "".join(chr(TOKEN_START + (digest >> shift) % 2**TOKEN_BITS) for shift in (0, TOKEN_BITS, 2 * TOKEN_BITS))


def _column(query: str, *values: Any) -> list[int]:
    return [number for (number,) in database.execute_sql(query, values).fetchall()]


def _short(rows: list[Any]) -> list[Any]:
    """The first of the rows, until their characters are enough for a batch; at least one."""
    characters = 0
    for number, (_, prompt, length) in enumerate(rows):
        characters += len(prompt or b"") + (length or 0)
        if characters > BATCH_CHARACTERS:
            return rows[: number + 1]
    return rows


def _add(rows: list[Any]) -> None:
    tokens = dict(_field_tokens([rowid for rowid, _, _ in rows]))
    for rowid, prompt, length in rows:
        in_prompt = " ".join(words(fold(bytes(prompt or b"").decode("utf-8", "replace"))))
        fields = UNREAD if length > SEARCHED else " ".join(tokens[rowid])
        insert = "INSERT INTO job_search (rowid, words, fields) VALUES (?, ?, ?)"
        database.execute_sql(insert, [rowid, in_prompt, fields])


def _field_tokens(rowids: list[int]) -> Iterator[tuple[int, set[str]]]:
    rows = database.execute_sql(FIELDS, [json.dumps(rowids)]).fetchall()
    for rowid, nodes in groupby(rows, lambda row: row[0]):
        yield rowid, {field_token(path, value) for path, value in _fields(nodes)}


def _fields(nodes: Iterable[Any]) -> Iterator[tuple[str, str | float]]:
    """(dotted path, value) for each string, number and boolean that is not inside an array. A parent comes first."""
    paths: dict[int, str] = {}
    for _, number, parent, key, kind, value in nodes:
        path = "" if parent is None else f"{paths[parent]}{key}" if parent in paths else None
        if path is None:
            continue
        if kind == "object":
            paths[number] = f"{path}." if path else ""
        elif kind in ("text", "integer", "real"):
            yield path, value
        elif kind in ("true", "false"):
            yield path, kind
