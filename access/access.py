"""Decides whom a token or the cookie of a session belongs to, by the file of tokens as it is now."""

import hmac
import logging
import threading
import time
from typing import NamedTuple

from access.contents import OWN, Contents, Session, digest, now, seal_of
from access.file import NO_FILE, Stamp, TokensFile
from access.guesses import Guesses
from errors import TokensUnusable, WrongToken
from settings import Settings

log = logging.getLogger("ledger.access")
LOOK_SECONDS = 1.0
SAVE_SECONDS = 60.0
WRONG = "This is no token of this service: send one as Authorization: Bearer <token>."
UNUSABLE = "The service cannot read its tokens, so nobody can sign in just now: its log says why, and what to do."


class Grant(NamedTuple):
    """What a client may use: the token with this name and digest, and the digest of its session, if it has one."""

    name: str
    sha256: str
    read_only: bool = False
    session: str | None = None


class State(NamedTuple):
    """The file of tokens at one moment. problem: why it cannot be used."""

    is_protected: bool
    tokens: dict[str, Grant]  # by their digests
    sessions: dict[str, Session]  # by the digests of their ids
    had_file: bool = False
    problem: str = ""


class Access:
    """The tokens and sessions of this service. It looks once a second whether the file has changed."""

    def __init__(self, settings: Settings) -> None:
        self.file, self.guesses = TokensFile(settings), Guesses()
        self._own = Grant(OWN, digest(settings.api_token)) if settings.api_token else None
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._state = State(settings.api_tokens is not None, {}, {})
        self._look_at = self._retry_at = 0.0
        self._uses: dict[str, float] = {}  # seconds since 1970, by digests; those that are not stored yet
        self._warning = ""

    def is_protected(self) -> bool:
        """True if clients need a token: if API_TOKEN or API_TOKENS is set, or if there is or was a file of tokens."""
        return self._current().is_protected

    def by_token(self, token: str, client: str | None) -> Grant:
        """The grant of a token that this client has sent. Raises WrongToken, TooManySignIns, TokensUnusable."""
        sent = digest(token)
        grant = self._current().tokens.get(sent) or self.look().tokens.get(sent)
        if grant is None or grant is self._own:
            self.guesses.judge(client, OWN, grant is not None)
        if grant is None:
            self._require_file()
            raise WrongToken(WRONG)
        self._uses[sent] = time.time()
        return grant

    def by_session(self, session_id: str) -> Grant | None:
        """The grant of a session; None if there is no such session or if it has ended. Raises TokensUnusable."""
        sent = digest(session_id)
        state = self._current()
        if sent not in state.sessions:
            state = self.look()
        session = state.sessions.get(sent)
        if session is None:
            self._require_file()
            return None
        grant = _token_of(session, session_id, state)
        if grant is None or session.is_over(now()):
            return None
        self._uses[sent] = self._uses[grant.sha256] = time.time()
        return grant._replace(session=sent)

    def still_allows(self, grant: Grant | None) -> bool:
        """True if a grant is valid now; for None, if the service asks for no token."""
        state = self._current()
        if grant is None:
            return not state.is_protected
        return grant.sha256 in state.tokens and (grant.session is None or grant.session in state.sessions)

    def begin_session(self, token: str, client: str | None, replaced: str = "") -> str:
        """Sign in with a token. Returns the id of the new session, and ends the one with the replaced id.

        Raises the errors of by_token().
        """
        grant = self.by_token(token, client)
        with self.file.changing() as contents:
            contents.end_session(replaced)
            session_id = contents.begin_session(grant.name, grant.sha256)
        self.look()
        return session_id

    def end_session(self, session_id: str) -> None:
        """Sign out. Raises TokensUnusable: then the session goes on."""
        if digest(session_id) in self.look().sessions:
            with self.file.changing() as contents:
                contents.end_session(session_id)
            self.look()

    def save_uses(self) -> None:
        """Store when tokens and sessions were last used. A failure is logged, and changes nothing for clients."""
        uses, self._uses = self._uses, {}
        if not uses or not self.look().had_file:
            return
        try:
            with self.file.changing() as contents:
                contents.note_uses(dict(list(uses.items())))
                contents.end_unused(now())
            self._warning = ""
        except TokensUnusable as error:
            self._warn(f"the last use of tokens is not stored: {error}")

    def look(self) -> State:
        """The file of tokens as it is now. It is read again if it has changed, and once a second if it was unusable."""
        with self._lock:
            moment = time.monotonic()
            self._look_at = moment + LOOK_SECONDS
            stamp = self.file.stamp()
            if stamp != self._stamp or self._state.problem and moment >= self._retry_at:
                self._retry_at = moment + LOOK_SECONDS
                self._state = self._read(stamp)
                self._stamp = stamp
            return self._state

    def _current(self) -> State:
        return self._state if time.monotonic() < self._look_at else self.look()

    def _read(self, stamp: Stamp) -> State:
        """The state of a file with this stamp. A service that was protected stays so, whatever happens to the file."""
        own = {self._own.sha256: self._own} if self._own else {}
        is_protected = stamp != NO_FILE or self._state.is_protected or bool(own)
        try:
            contents = self.file.read()
            if contents is None and self._state.had_file:
                raise TokensUnusable(f"{self.file.path} is gone, and it had the tokens: put it back.")
        except TokensUnusable as error:
            self._warn(str(error))
            return State(is_protected, own, {}, self._state.had_file, str(error))
        if self._state.problem:
            log.info("%s can be used again", self.file.path)
            self._warning = ""
        return _state_of(contents, is_protected, own)

    def _require_file(self) -> None:
        if self._state.problem:
            raise TokensUnusable(UNUSABLE)

    def _warn(self, text: str) -> None:
        """Log a text, unless it was the last one."""
        if text != self._warning:
            log.error("%s", text)
        self._warning = text


def _state_of(contents: Contents | None, is_protected: bool, own: dict[str, Grant]) -> State:
    if contents is None:
        return State(is_protected, own, {})
    tokens = {one.sha256: Grant(one.name, one.sha256, one.read_only) for one in contents.tokens}
    sessions = {one.sha256: one for one in contents.sessions}
    return State(is_protected, {**tokens, **own}, sessions, had_file=True)


def _token_of(session: Session, session_id: str, state: State) -> Grant | None:
    """The token with which the session began; None if it was removed or replaced."""
    named = (grant for grant in state.tokens.values() if grant.name == session.token)
    return next((one for one in named if hmac.compare_digest(session.seal, seal_of(session_id, one.sha256))), None)
