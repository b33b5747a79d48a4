"""Resolves the address to listen on, and reserves it for one server."""

import socket
import sys

from errors import SettingsError
from settings import Settings


def reserve_address(settings: Settings) -> tuple[str, socket.socket]:
    """(HOST as an IP address on which PORT is free, a socket that reserves it). Raises SettingsError.

    Without the reservation, two servers that start at the same moment would share a port without an error. Other
    servers of this program check for the socket, so keep it open. The reservation ends with the last process that
    inherited it.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        if sys.platform == "linux":
            reservation.bind(f"\0diffrhythm-ledger-{place[0]}-{settings.port}")
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as error:
        reservation.close()
        why = getattr(error, "strerror", None) or "no host name"
        raise SettingsError(
            f"HOST is {settings.host!r} and PORT is {settings.port}: cannot listen there ({why}); "
            "stop the other program, or choose another port."
        ) from None
    return str(place[0]), reservation
