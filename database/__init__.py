"""The database: its connection, its schema, and the rules that it enforces."""

from database.connection import (
    AWAY,
    bind,
    bind_default,
    bound_settings,
    commit_in_groups,
    database,
    give_back_connection,
    init_at_first_use,
    is_postgresql,
    leave,
    release,
    release_connection,
    server_version,
)
from database.json_text import from_json, to_column, to_json
from database.schema import (
    HISTORY,
    MIGRATIONS,
    available_migrations,
    init_database,
    plan,
    prepare_database,
    schema_state,
)

__all__ = [
    "AWAY",
    "HISTORY",
    "MIGRATIONS",
    "available_migrations",
    "bind",
    "bind_default",
    "bound_settings",
    "commit_in_groups",
    "database",
    "from_json",
    "give_back_connection",
    "init_at_first_use",
    "init_database",
    "is_postgresql",
    "leave",
    "plan",
    "prepare_database",
    "release",
    "release_connection",
    "schema_state",
    "server_version",
    "to_column",
    "to_json",
]
