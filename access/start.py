"""Refuses a start that would open the service to others, or to nobody."""

import socket

from access.clients import is_loopback
from access.file import TokensFile
from errors import SettingsError, TokensUnusable
from settings import Settings


def check_start(settings: Settings) -> None:
    """Raise SettingsError if the file of tokens cannot be used, or if other machines could call without a token."""
    try:
        contents = TokensFile(settings).read()
    except TokensUnusable as error:
        raise SettingsError(f"API_TOKENS: {error}") from None
    if settings.api_token or contents and contents.tokens:
        return
    if contents is not None:
        raise SettingsError(
            f"{settings.tokens_path} has no token, and API_TOKEN is not set, so nobody could sign in: run `flask token "
            f"add NAME`, or delete {settings.tokens_path} and {settings.tokens_path}.lock to serve without tokens."
        )
    if settings.api_tokens is not None:
        raise SettingsError(
            f"API_TOKENS is {str(settings.api_tokens)!r}: there is no such file; `flask token add NAME` makes it."
        )
    if not _is_private(settings):
        raise SettingsError(
            f"HOST is {settings.host!r}: other machines could reach the service, and nothing asks them for a token. "
            "Run `flask token add NAME` or set API_TOKEN, and start again. HOST=127.0.0.1 serves this machine only."
        )


def _is_private(settings: Settings) -> bool:
    """True if only this machine reaches the address that the service will listen on, or if there is no such address."""
    try:
        place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][4]
    except (OSError, UnicodeError):
        return True  # the service cannot listen there, and says so
    return is_loopback(str(place[0]))
