"""Listens on the address of the settings."""

import socket
import sys

from errors import SettingsError
from settings import Settings

BACKLOG = 4096  # connections that the system accepts while the web process is busy or restarts
# Notice within about two minutes that the machine of a client no longer answers.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


def listen(settings: Settings) -> socket.socket:
    """A socket that listens on HOST and PORT. The web processes inherit it, and it stays open when one of them ends.

    Raises SettingsError, for example if another program listens there.
    """
    listener: socket.socket | None = None
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        why = getattr(error, "strerror", None) or "no host name"
        raise SettingsError(
            f"HOST is {settings.host!r} and PORT is {settings.port}: cannot listen there ({why}); "
            "stop the other program, or choose another port."
        ) from None
    _keep_alive(listener)
    return listener


def _keep_alive(listener: socket.socket) -> None:
    """Let the system check whether idle clients still answer; on Linux, accepted connections inherit this."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for name, value in KEEPALIVE.items():
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
