"""Sends files block by block, as fast as each client reads; a thread reads the blocks from the disk."""

from typing import TYPE_CHECKING, Any

from files.transfer import Transfer
from server.lanes import Lane

if TYPE_CHECKING:
    from server.exchange import Exchange


class FileSender:
    """Sends one file, or a part of it. At most one block and what the transport holds are in memory."""

    def __init__(self, exchange: "Exchange", transfer: Transfer, lane: Lane) -> None:
        self.exchange, self.transfer, self.lane = exchange, transfer, lane
        self._is_reading = self._is_closed = False

    def resume(self) -> None:
        """Send the next block, if the client reads and no block is being read from the disk."""
        if not self._is_reading and self.exchange.connection.is_writable:
            self._is_reading = True
            self.lane.submit(self.transfer.read, self._send)

    def left(self) -> None:
        """The client sends no more, but may still read."""

    def stop(self) -> None:
        """The process stops: it still waits some seconds, and the rest of the file is sent meanwhile."""

    def close(self) -> None:
        """Close the file; if a thread is reading from it, close it afterwards."""
        self._is_closed = True
        if not self._is_reading:
            self.transfer.close()

    def _send(self, block: Any) -> None:
        self._is_reading = False
        if self._is_closed:
            self.transfer.close()
        elif not isinstance(block, bytes) or not block:  # the file has become shorter, or cannot be read
            self.exchange.cut()
        else:
            self.exchange.write(block)
            if self.transfer.left:
                self.resume()
            else:
                self.close()
                self.exchange.finish()
