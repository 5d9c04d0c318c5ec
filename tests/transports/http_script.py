"""A connection of the HTTP server without a socket: what it writes is kept, and what it reads comes from the test."""

from __future__ import annotations

import asyncio

from mcpcore.transports.http_server import HttpServer, ServerConnection

__all__ = ["Script"]


class Script:
    """A transport: what is written is kept, what is read comes from the test."""

    def __init__(self, server: HttpServer) -> None:
        self.loop = server.loop
        self.written = bytearray()
        self.closing = self.lost = self.paused = self.said_eof = False
        self.connection = ServerConnection(server)
        self.connection.connection_made(self)

    def write(self, data: bytes) -> None:
        assert data and not self.said_eof
        if not self.closing:
            self.written += data

    def write_eof(self) -> None:
        self.said_eof = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self._lose)

    abort = close

    def _lose(self) -> None:
        self.lost = True
        self.connection.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_extra_info(self, name: str) -> None:
        return None

    async def feed(self, pieces: list[bytes]) -> None:
        """Piece by piece, as far as the connection reads."""
        for piece in pieces:
            for _ in range(100):
                if not self.paused or self.closing:
                    break
                await asyncio.sleep(0)  # until what is served is done; a hanging one may hold the rest for ever
            if self.closing or self.paused:
                return
            if piece:
                self.connection.data_received(piece)

    def eof(self) -> None:
        if not self.closing and not self.connection.eof_received():
            self.close()
