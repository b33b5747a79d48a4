"""One request and its answer, from the head of the request to the last byte of the answer."""

import time
from typing import TYPE_CHECKING, Any, Protocol

from maintenance.traffic import REQUEST_ID
from records.handover import Handover
from records.waits import Wait
from server.answers import Answer, Refusal, head
from server.bodies import Body
from server.environ import Environ
from server.logs import Entry

if TYPE_CHECKING:
    from server.front import Front
    from server.http import Connection


class Sender(Protocol):
    """What sends a body without a thread: a file, an event stream, or a response that is waited for."""

    def resume(self) -> None:
        """Go on: the client has read most of what was sent."""

    def left(self) -> None:
        """The client sends no more: it has probably gone."""

    def stop(self) -> None:
        """End soon: the process stops."""

    def close(self) -> None:
        """Free everything: the connection is lost."""


class Exchange:
    """A request and its answer. All methods run in the event loop."""

    def __init__(self, connection: "Connection", environ: Environ, front: "Front") -> None:
        self.connection, self.environ, self.front = connection, environ, front
        self.client = front.clients.of(environ["REMOTE_ADDR"])
        self.keep_alive = True
        self.request_id = environ[REQUEST_ID] = front.ids.of(environ)
        self.ready: Answer | Refusal | None = None  # an answer that does not come from the app
        self.body: Body = front.no_body
        self.sender: Sender | None = None
        self._is_started = self._is_abandoned = False
        self._started_at = time.perf_counter()

    @property
    def expects_body(self) -> bool:
        """True if the head says that a body follows."""
        return self.environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in self.environ

    @property
    def is_gone(self) -> bool:
        """True if the client has closed its end of the connection, or nothing can be sent on it any more."""
        return self.connection.has_left or self.connection.transport.is_closing()

    def accept_body(self) -> bool:
        """Prepare to read the body. False if the request is refused by its head, without the body."""
        body = self.front.body_for(self.environ, self.client)
        if not isinstance(body, Body):
            self.ready = body
            return False
        self.body = body
        body.pause = self.connection.pause
        return True

    def invite_body(self) -> None:
        """Send `100 Continue` if the client waits for it before it sends the body (RFC 9110)."""
        is_expected = self.environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        if is_expected and self.environ["SERVER_PROTOCOL"] == "HTTP/1.1" and not self.body.received:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def start(self) -> None:
        """Call the app for the answer, once."""
        if self._is_started:
            return
        self._is_started = True
        self._started_at = time.perf_counter()
        if self.ready is not None:
            self.answer(self.ready)
        else:
            self.front.call_app(self)

    def answer(self, answer: Answer | Refusal) -> None:
        """Send an answer. Its body is bytes, or something that the front sends."""
        if isinstance(answer, Refusal):
            answer = answer.answer(self.request_id)
        body: Any = answer.body
        if not isinstance(body, Wait):
            self._log(answer.status[:3])
        self.body.discard()
        if self._is_abandoned:
            self.front.drop(body)
        elif isinstance(body, bytes):
            self.write(self.head(answer) + (b"" if self.environ["REQUEST_METHOD"] == "HEAD" else body))
            self.finish()
        else:
            self.front.send(self, answer)

    def send_claimed(self, answer: Answer, claimed: Handover) -> None:
        """Send what was claimed, if the client is still there; else give it back."""
        if self.is_gone:
            self.front.drop(claimed)
            self.keep_alive = False
        else:
            self.write(self.head(answer) + b"".join(claimed))
        self.finish()

    def head(self, answer: Answer) -> bytes:
        """The head of the answer to this request."""
        return head(answer, self.keep_alive, self.request_id)

    def write(self, data: bytes) -> None:
        """Send a part of the answer."""
        self.connection.write(data)

    def finish(self) -> None:
        """The whole answer has been written."""
        self.sender = None
        self.connection.finished(self)

    def cut(self) -> None:
        """Cut the connection, so that the client notices that the answer is not complete."""
        self.connection.transport.abort()

    def resume(self) -> None:
        """The client has read most of what was sent."""
        if self.sender is not None:
            self.sender.resume()

    def left(self) -> None:
        """The client sends no more."""
        if self.sender is not None:
            self.sender.left()

    def stop(self) -> None:
        """The process stops."""
        self.keep_alive = False
        if self.sender is not None:
            self.sender.stop()

    def _log(self, code: str) -> None:
        """Count this request, and write its line to the log."""
        environ, seconds = self.environ, time.perf_counter() - self._started_at
        self.front.site.traffic.add(environ, code, seconds)
        request = environ["REMOTE_ADDR"], environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.front.access_log.write(Entry(*request, code, seconds * 1000, self.request_id))

    def abandon(self) -> None:
        """Free everything: no answer can be sent. If the app is working, its answer is dropped later."""
        self._is_abandoned = True
        if not self._is_started:
            self.body.discard()
        if self.sender is not None:
            self.sender.close()
            self.sender = None
