"""The errors of the service. The text of each is a sentence that says what to do.

web/problems.py turns them into problem+json. app.py and commands/ print them as one line on stderr.
"""

from math import ceil


class LedgerError(Exception):
    """The base of all errors of this service; str() is one sentence for a person."""


class CannotStart(LedgerError):
    """The service cannot start. app.py and commands/ print the sentence and exit."""


class SettingsError(CannotStart):
    """A setting has a value that cannot be used."""


class DatabaseUnusable(CannotStart):
    """The database cannot be opened, written or locked."""


class SchemaTooOld(DatabaseUnusable):
    """The database was made before the first release of this program."""


class SchemaTooNew(DatabaseUnusable):
    """The database was written by a newer version of this program."""


class MigrationFailed(DatabaseUnusable):
    """A migration failed and was undone."""


class BackupFailed(LedgerError):
    """A backup cannot be made or restored, or an export cannot be made."""


class Invalid(LedgerError):
    """A value breaks a rule. `errors` has a message for each wrong field; it is empty if no single field is wrong."""

    def __init__(self, message: str, field: str | None = None, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or ([{"field": field, "message": message}] if field else [])


class MissingParent(Invalid):
    """A record names a parent that does not exist."""


class WrongLines(Invalid):
    """Lines of a file are wrong. `lines` has the reason for each by its number; `errors` has the same for REST.

    unit: what the numbers count.
    """

    def __init__(self, lines: dict[int, str], unit: str = "line") -> None:
        number = f"One {unit} is" if len(lines) == 1 else f"{len(lines)} {unit}s are"
        errors = [{"field": f"{unit} {line}", "message": reason} for line, reason in sorted(lines.items())]
        what = f"this {unit}" if len(lines) == 1 else f"these {unit}s"
        super().__init__(f"{number} wrong, so nothing was queued: correct {what} and send all again.", errors=errors)
        self.lines = lines


class Conflict(LedgerError):
    """The id is taken by a record made from another request."""


class WrongStatus(LedgerError):
    """The status does not allow this step."""


class LeaseLost(LedgerError):
    """The work is leased to another worker, or is not leased any more."""


class Stale(LedgerError):
    """The record changed since the caller read it."""


class NotFound(LedgerError):
    """There is no such record."""


class Pruned(LedgerError):
    """Events that the caller has not read may have been deleted."""


class Malformed(Invalid):
    """A request that cannot be read at all."""


class LengthRequired(LedgerError):
    """A request has a body but no Content-Length."""


class TooLarge(LedgerError):
    """A body is larger than the limit."""


class UnsupportedMediaType(LedgerError):
    """The media type of a body is not supported at this address."""


class Undecodable(LedgerError):
    """A file cannot be decoded as sound."""


class StorageFull(LedgerError):
    """The disk of the storage folder is full."""


class StorageUnusable(LedgerError):
    """The storage folder cannot be read or written."""


class StorageGone(StorageUnusable, OSError):
    """The storage folder was removed or replaced while this process used it."""


class Busy(LedgerError):
    """Too many requests of this kind run at the same time; the caller may try again later."""


class TooMany(Busy):
    """One client has too many requests of this kind open; it may try again later."""


class Unauthorized(LedgerError):
    """The token is missing or wrong."""


class WrongToken(Unauthorized):
    """The client has sent a token that is wrong."""


class TooManySignIns(LedgerError):
    """Too many sign-ins have failed at this address. retry_after: the whole seconds after which it may try again."""

    def __init__(self, seconds: float) -> None:
        self.retry_after = max(1, ceil(seconds))
        super().__init__(f"Too many sign-ins have failed at your address: try again in {self.retry_after} seconds.")


class TokensUnusable(LedgerError):
    """The file of tokens is gone, locked or malformed, or it cannot be read or written."""


class ReadOnly(LedgerError):
    """The token of the client may only read."""


class ForbiddenOrigin(LedgerError):
    """The host name of the request, or the page that sent it, is not trusted."""
