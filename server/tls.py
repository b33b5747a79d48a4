"""TLS without a proxy: the certificate of TLS_CERT and TLS_KEY, and connections that use it."""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from errors import SettingsError
from server.answers import Refusal
from server.http import Connection
from settings import Settings

if TYPE_CHECKING:
    from server.front import Front

log = logging.getLogger("ledger.web")
REFRESH_SECONDS = 60.0
RECORD_BYTES = 16 * 1024  # the longest record. OpenSSL keeps buffers as large as the most that they have had


class Certificate:
    """The files of a certificate and its key. Raises SettingsError if they cannot be used.

    context is for new connections. It is replaced, not changed, so a connection that is being opened keeps its own.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._stamp = self._read_stamp()
        self.context = make_context(certificate, key)

    def refresh(self) -> None:
        """Read the files again if they have changed. If they cannot be used, keep the old ones and log the reason."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = make_context(*self._files)
            log.info("the certificate of %s has been read again", self._files[0])
        except SettingsError as error:
            log.error("the old certificate is used: %s", error)

    def _read_stamp(self) -> list[tuple[int, int, int] | None]:
        """What differs if a file was changed or replaced, or its permissions were; None if it is not there."""
        return [_stamp_of(file) for file in self._files]


class SecureTransport:
    """Encrypts what is written. All else, such as how much a client has not read, is that of the transport below."""

    def __init__(self, below: asyncio.Transport, context: ssl.SSLContext) -> None:
        self._below = below
        self._arrived, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._arrived, self._outgoing, server_side=True)
        self.is_secure = False  # the handshake is complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def decrypt(self, data: bytes) -> Iterator[bytes]:
        """What the client has sent, in parts; b"" if it will send no more. Raises SSLError if this is no TLS."""
        arrived = memoryview(data)
        try:
            for start in range(0, len(data), RECORD_BYTES):
                self._arrived.write(arrived[start : start + RECORD_BYTES])
                with suppress(ssl.SSLWantReadError):  # the rest of a record is missing
                    yield from self._read_records()
        finally:
            self._send()  # the server's part of the handshake, or why it has failed

    def write(self, data: bytes) -> None:
        """Send these bytes."""
        left, records = memoryview(data), []
        while left:
            left = left[self._session.write(left[:RECORD_BYTES]) :]
            records.append(self._outgoing.read())
        self._below.write(b"".join(records))  # at once, because a slow client is judged by all that it has not read

    def write_eof(self) -> None:
        """Tell the client that this was all, and read on."""
        self._end()
        self._below.write_eof()

    def close(self) -> None:
        """Tell the client that this was all, and close the connection when it has been sent."""
        self._end()
        self._below.close()

    def _read_records(self) -> Iterator[bytes]:
        """The bytes of all records that have arrived whole. Then it raises SSLWantReadError."""
        if not self.is_secure:
            self._session.do_handshake()
            self.is_secure = True
        while not self._below.is_closing():
            yield self._session.read(RECORD_BYTES)

    def _end(self) -> None:
        if self.is_secure:
            with suppress(ssl.SSLError):  # the client need not confirm the end
                self._session.unwrap()
        self._send()

    def _send(self) -> None:
        if self._outgoing.pending and not self._below.is_closing():
            self._below.write(self._outgoing.read())


class SecureConnection(Connection):
    """A connection with TLS. The handshake is a part of its first head: it counts, and its time is limited."""

    def __init__(self, front: "Front", certificate: Certificate) -> None:
        super().__init__(front)
        self._context = certificate.context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the client."""
        self._secure = SecureTransport(cast(asyncio.Transport, transport), self._context)
        super().connection_made(cast(asyncio.Transport, self._secure))

    def data_received(self, data: bytes) -> None:
        """Decrypt what has arrived, and parse it. A client that does not use TLS is cut off."""
        if self.has_left:  # it has announced its end: OpenSSL would keep all that follows, and never read it
            return
        try:
            for part in self._secure.decrypt(data):
                if part:
                    super().data_received(part)
                else:
                    self.eof_received()
                    return
        except ssl.SSLError:
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        if self._secure.is_secure:
            super()._refuse(refusal)
        else:  # nothing can be said before the handshake
            self.transport.abort()


@cache
def certificate_of(settings: Settings) -> Certificate:
    """The certificate of these settings. The web processes inherit the one that was read before they were forked."""
    assert settings.tls_cert and settings.tls_key
    return Certificate(settings.tls_cert, settings.tls_key)


def make_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and newer. Raises SettingsError with a sentence that names the setting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could ask for the costly part of a handshake again and again
    context.set_alpn_protocols(["http/1.1"])
    for name, file in (("TLS_CERT", certificate), ("TLS_KEY", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise SettingsError(f"{name} is '{file}': cannot read this file ({error.strerror}).") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        raise SettingsError(f"TLS_CERT is '{certificate}': expected a certificate in PEM.") from None
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        expected = "expected the key of the certificate in TLS_CERT, in PEM and without a passphrase"
        raise SettingsError(f"TLS_KEY is '{key}': {expected} ({error.reason}).") from None
    return context


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns, status.st_size
