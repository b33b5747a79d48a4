"""What can go wrong, in words a caller can act on.

Raised deep, turned into problem+json in web/problems.py and into one line on stderr by app.py and commands.
"""


class LedgerError(Exception):
    """Anything this service refuses or cannot do; str() is one sentence for a person."""


class CannotStart(LedgerError):
    """Nothing can run until this is mended; app.py and commands.py turn it into an exit with its sentence."""


class SettingsError(CannotStart):
    """A setting has a value that cannot be used."""


class DatabaseUnusable(CannotStart):
    """The database cannot be opened, written or locked."""


class SchemaTooOld(DatabaseUnusable):
    """The database was made before the first release of this program."""


class SchemaTooNew(DatabaseUnusable):
    """The database was written by a newer version of this program."""


class Invalid(LedgerError):
    """A value breaks a rule; errors says which field wants what, where fields are to blame."""

    def __init__(self, message: str, field: str | None = None, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or ([{"field": field, "message": message}] if field else [])


class MissingParent(Invalid):
    """A record names a parent that does not exist."""


class Conflict(LedgerError):
    """The id is taken by a record made from another request."""


class WrongStatus(LedgerError):
    """The status does not allow this step."""


class LeaseLost(LedgerError):
    """The work is leased to another, or no longer leased at all."""


class Stale(LedgerError):
    """The record changed since the caller read it."""


class NotFound(LedgerError):
    """There is no such record."""


class Pruned(LedgerError):
    """Events that the caller has not seen may be gone."""


class Malformed(Invalid):
    """A request that cannot be read at all."""


class LengthRequired(LedgerError):
    """A body came without its length."""


class TooLarge(LedgerError):
    """A body is larger than is accepted."""


class UnsupportedMediaType(LedgerError):
    """A body is of a type this address does not take."""


class Undecodable(LedgerError):
    """A file is no sound that can be decoded."""


class StorageFull(LedgerError):
    """The disk of the storage folder has no room."""


class StorageUnusable(LedgerError):
    """The storage folder cannot be read or written."""


class Busy(LedgerError):
    """More is asked for at once than can be served; later it can."""


class Unauthorized(LedgerError):
    """The token is missing or wrong."""


class ForbiddenOrigin(LedgerError):
    """The request came by a name, or from a page, that this service does not trust."""
