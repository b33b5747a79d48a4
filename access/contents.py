"""What the file of tokens contains: tokens and sessions of browsers as digests, and the changes of both."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, model_validator

from errors import Conflict, Invalid, NotFound

OWN = "API_TOKEN"  # the name of the token of that setting, which is not in the file
PREFIX = "ledger_"  # of every token; programs that look for secrets in texts find it by this prefix
RANDOM_BYTES = 32
MOST_TOKENS = 100
MOST_SESSIONS = 50  # of one token
UNUSED = timedelta(days=30)  # after which a session ends
USE_INTERVAL = timedelta(minutes=1)  # the last use is stored this often
NAME = "[A-Za-z0-9._-]{1,64}"

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Entry(BaseModel):
    """A part of the file. A field that this version does not know may restrict a token, so the file is then refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Token(Entry):
    """A token. Its digest is SHA-256: 256 random bits cannot be guessed, so a slow hash is not needed."""

    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    sha256: Digest
    read_only: bool
    created_at: AwareDatetime
    used_at: AwareDatetime | None = None


class Session(Entry):
    """A browser that has signed in with a token. sha256 is the digest of the session id, which is the cookie."""

    sha256: Digest
    token: str
    seal: Digest
    created_at: AwareDatetime
    used_at: AwareDatetime

    def is_over(self, now: datetime) -> bool:
        """True if it was not used for 30 days. The use of a session may be in the future if the clock was wrong."""
        return abs(now - self.used_at) > UNUSED


class Contents(Entry):
    """All tokens and sessions."""

    tokens: list[Token] = []
    sessions: list[Session] = []

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if len({token.name for token in self.tokens}) < len(self.tokens):
            raise ValueError("two tokens have the same name")
        return self

    def add_token(self, name: str, read_only: bool) -> str:
        """Add a token with this name. Returns the token itself. Raises Invalid, Conflict."""
        if not re.fullmatch(NAME, name) or name == OWN:
            raise Invalid(f"The name {name[:100]!r} cannot be used: expected 1 to 64 characters of A-Z a-z 0-9 . _ -")
        if any(token.name == name for token in self.tokens):
            raise Conflict(f"There is a token {name} already: choose another name, or remove that one first.")
        if len(self.tokens) >= MOST_TOKENS:
            raise Conflict(f"There are {MOST_TOKENS} tokens already: remove one first.")
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        self.tokens.append(Token(name=name, sha256=digest(token), read_only=read_only, created_at=now()))
        return token

    def remove_token(self, name: str) -> int:
        """Remove a token and end its sessions. Returns the number of these sessions. Raises NotFound."""
        self.require_token(name)
        self.tokens = [token for token in self.tokens if token.name != name]
        return self.end_sessions(name)

    def require_token(self, name: str) -> None:
        """Raise NotFound if there is no token with this name."""
        if all(token.name != name for token in self.tokens):
            raise NotFound(f"There is no token {name[:100]!r}: `flask token list` shows all.")

    def sessions_of(self, name: str) -> int:
        """The number of browsers that are signed in with the token with this name."""
        moment = now()
        return sum(one.token == name and not one.is_over(moment) for one in self.sessions)

    def begin_session(self, name: str, token_sha256: str) -> str:
        """Begin a session of the token with this name and digest. Returns the session id.

        If the token has as many sessions as it may have, the session that was not used for longest ends.
        """
        session_id, moment = secrets.token_urlsafe(RANDOM_BYTES), now()
        self.end_unused(moment)
        own = sorted((one for one in self.sessions if one.token == name), key=lambda one: one.used_at)
        for surplus in own[: max(0, len(own) - MOST_SESSIONS + 1)]:
            self.sessions.remove(surplus)
        seal = seal_of(session_id, token_sha256)
        session = Session(sha256=digest(session_id), token=name, seal=seal, created_at=moment, used_at=moment)
        self.sessions.append(session)
        return session_id

    def end_session(self, session_id: str) -> None:
        """End one session, if it exists."""
        ended = digest(session_id)
        self.sessions = [one for one in self.sessions if one.sha256 != ended]

    def end_sessions(self, name: str | None = None) -> int:
        """End the sessions of the token with this name, or all sessions. Returns their number."""
        kept = [one for one in self.sessions if name not in (None, one.token)]
        ended, self.sessions = len(self.sessions) - len(kept), kept
        return ended

    def end_unused(self, moment: datetime) -> None:
        """End the sessions that were not used for 30 days."""
        self.sessions = [one for one in self.sessions if not one.is_over(moment)]

    def note_uses(self, uses: Mapping[str, float]) -> None:
        """Store when tokens and sessions were used: seconds since 1970 by their digests.

        A use within a minute of the last one that is stored is left out. If the clock was ahead, that one is replaced.
        """
        entries: list[Token | Session] = [*self.tokens, *self.sessions]
        for entry in entries:
            if entry.sha256 in uses:
                used_at = datetime.fromtimestamp(int(uses[entry.sha256]), UTC)
                if entry.used_at is None or abs(used_at - entry.used_at) >= USE_INTERVAL:
                    entry.used_at = used_at


def digest(text: str) -> str:
    """The SHA-256 of a text in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def seal_of(session_id: str, token_sha256: str) -> str:
    """What ties a session to its token: with another token of the same name, the seal is wrong."""
    return digest(f"{session_id} {token_sha256}")


def now() -> datetime:
    """The time in UTC, without fractions of a second."""
    return datetime.now(UTC).replace(microsecond=0)
