"""HTTP and the beginning of a WebSocket, from clients that nobody knows yet.

uvicorn waits for ever for the end of a request, takes as many connections as come, and answers some
malformed requests with a traceback in the log. Its protocols are given here what they lack.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.utilities import ProtocolError

from jarvis_backend.connections import Connections

HEADER_S: Final = 5.0
"""How long the header of a request may take, from the beginning of the connection or, on one that
is used again, from its first byte."""

BODY_S: Final = 10.0
"""How long its body may take, from the end of the header."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HttpProtocol(H11Protocol):
    """One connection, within its deadlines and counted in ``connections``. Lives on the loop."""

    def __init__(self, *args: Any, connections: Connections, **others: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **others)
        self._places = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._awaited: tuple[object, object] | None = None
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        if not self._places.enter(transport, self.client[0] if self.client else ""):
            transport.abort()
            return
        self._await(("header", None), HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        self._places.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._look()
        if self.conn.their_state is h11.IDLE:
            self._places.await_more(self.transport)  # uvicorn closes it if nothing comes

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._places.await_more(self.transport)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection, and its place, to a WebSocket."""
        self._is_upgraded = True
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer, unless it is too late for that."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def _look(self) -> None:
        """Find out who has to act next, and give a client that has to its time."""
        if self._is_upgraded or self.transport.is_closing():
            return
        match self.conn.their_state:
            case h11.IDLE if self.conn.trailing_data[0]:
                self._await(("header", self.cycle), HEADER_S)
            case h11.SEND_BODY:
                self._await(("body", self.cycle), BODY_S)
            case _:
                self._stop_waiting()
                if self.flow.write_paused:  # the next answer waits for the client to read this one
                    self._places.await_more(self.transport)

    def _await(self, what: tuple[str, object], most_s: float) -> None:
        if self._awaited == what:
            return
        self._stop_waiting()
        self._awaited = what
        self._deadline = self.loop.call_later(most_s, self.transport.abort)
        self._places.await_more(self.transport)

    def _stop_waiting(self) -> None:
        self._awaited = None
        self._places.serve(self.transport)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class WebSocketProtocol(WSProtocol):
    """One WebSocket, which has the place of the request that opened it. Lives on the loop."""

    def __init__(self, *args: Any, connections: Connections, **others: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **others)
        self._places = connections

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._places.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; a header that cannot be decoded is a bad request."""
        try:
            super().data_received(data)
        except (UnicodeError, ProtocolError):
            if not self.handshake_complete:
                self.transport.write(_BAD_REQUEST)
            self.transport.close()
