"""The HTTP and WebSocket protocols of uvicorn, with time-outs and a limit on connections.

uvicorn waits for the end of a request without a limit, accepts any number of connections, and logs
a traceback for some malformed requests.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.utilities import ProtocolError

from jarvis_backend.connections import Connections

HEADER_S: Final = 5.0
"""Maximum seconds for the header of a request, from the beginning of the connection or, if it is
reused, from the first byte."""

BODY_S: Final = 10.0
"""Maximum seconds for the body of a request, from the end of its header."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HttpProtocol(H11Protocol):
    """One connection, with its deadlines and counted in ``connections``. Lives on the loop."""

    def __init__(self, *args: Any, connections: Connections, **others: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **others)
        self._connections = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._expected: tuple[object, object] | None = None
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or abort it if there are too many."""
        super().connection_made(transport)
        if not self._connections.add(transport, self.client[0] if self.client else ""):
            transport.abort()
            return
        self._expect(("header", None), HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._stop_deadline()
        self._connections.remove(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle data of the client."""
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        """Prepare for the next request."""
        super().on_response_complete()
        self._update_deadline()
        if self.conn.their_state is h11.IDLE:
            self._connections.mark_waiting(self.transport)  # uvicorn closes it if nothing comes

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._connections.mark_waiting(self.transport)

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._update_deadline()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass the connection to a WebSocket."""
        self._is_upgraded = True
        self._stop_deadline()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer, or abort the connection if an answer has begun."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def _update_deadline(self) -> None:
        """Start a deadline if the client has to act next, and stop it otherwise."""
        if self._is_upgraded or self.transport.is_closing():
            return
        match self.conn.their_state:
            case h11.IDLE if self.conn.trailing_data[0]:
                self._expect(("header", self.cycle), HEADER_S)
            case h11.SEND_BODY:
                self._expect(("body", self.cycle), BODY_S)
            case _:
                self._stop_deadline()
                if self.flow.write_paused:  # the client has to read the answer first
                    self._connections.mark_waiting(self.transport)

    def _expect(self, what: tuple[str, object], timeout_s: float) -> None:
        if self._expected == what:
            return
        self._stop_deadline()
        self._expected = what
        self._deadline = self.loop.call_later(timeout_s, self.transport.abort)
        self._connections.mark_waiting(self.transport)

    def _stop_deadline(self) -> None:
        self._expected = None
        self._connections.mark_busy(self.transport)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class WebSocketProtocol(WSProtocol):
    """One WebSocket, counted like the request that opened it. Lives on the loop."""

    def __init__(self, *args: Any, connections: Connections, **others: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **others)
        self._connections = connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._connections.remove(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle data of the client; a header that cannot be decoded is a bad request."""
        try:
            super().data_received(data)
        except (UnicodeError, ProtocolError):
            if not self.handshake_complete:
                self.transport.write(_BAD_REQUEST)
            self.transport.close()
