"""The sign-in of the protocol. Every call has a salt, and a token: the MD5 of the app password and the salt.

The protocol gives players no other way to prove that they know a password without sending it. A player may use a salt
again: it makes the address of a stream once, and then asks for parts of the stream. So a salt is not refused when it
comes again. Anyone who can read a call can repeat it: only TLS prevents that.
"""

import hashlib
import hmac

from flask import request

from web import guard
from web.current import services
from web.subsonic.calls import Call
from web.subsonic.failures import (
    CLIENT_TOO_OLD,
    MISSING,
    SERVER_TOO_OLD,
    TWO_SIGN_INS,
    UNKNOWN_SIGN_IN,
    WRONG_PASSWORD,
    Failure,
)

SECRET = "SUBSONIC_PASSWORD"
SHORTEST_SALT = 6  # characters, as the protocol says
MAJOR = "1"  # the version of the protocol
ALONE = ("u", "p", "t", "s")  # parameters that may not come together with an API key


def check_sign_in(call: Call) -> None:
    """Raise Failure if the call does not prove that the client knows the user and the password of this interface.

    Raises TooManySignIns if too many calls of this client have failed.
    """
    _check_way(call)
    user, token, salt = (call.require(name) for name in ("u", "t", "s"))
    _check_version(call.require("v"))
    call.require("c")
    settings = services().settings
    expected = hashlib.md5(f"{settings.subsonic_password}{salt}".encode(), usedforsecurity=False).hexdigest()
    is_user, has_password = (_is_equal(user, settings.subsonic_user), _is_equal(token, expected))
    is_right = is_user and has_password and len(salt) >= SHORTEST_SALT
    services().access.guesses.judge(guard.client(request.environ), SECRET, is_right)
    if not is_right:
        raise Failure(
            WRONG_PASSWORD, "The user, the password or the salt is wrong: compare SUBSONIC_USER and SUBSONIC_PASSWORD."
        )


def _check_way(call: Call) -> None:
    """Raise Failure for another kind of sign-in than a token with its salt."""
    if call.get("apiKey"):
        if any(call.get(name) for name in ALONE):
            raise Failure(TWO_SIGN_INS, "Send either a token with its salt or an API key, not both.")
        raise Failure(UNKNOWN_SIGN_IN, "This service has no API keys: sign in with a token and its salt (t and s).")
    if call.get("p"):
        if call.get("t"):
            raise Failure(TWO_SIGN_INS, "Send either a token with its salt or a password, not both.")
        raise Failure(UNKNOWN_SIGN_IN, "Passwords are not accepted: sign in with a token and its salt (t and s).")


def _check_version(version: str) -> None:
    major = version.partition(".")[0]
    if not major.isdecimal():
        raise Failure(MISSING, "The parameter v is not a version such as 1.16.1.")
    if major != MAJOR:
        code = CLIENT_TOO_OLD if int(major[:9]) < int(MAJOR) else SERVER_TOO_OLD
        raise Failure(code, "This service speaks version 1 of the protocol.")


def _is_equal(sent: str, expected: str) -> bool:
    return hmac.compare_digest(sent.encode(), expected.encode())
