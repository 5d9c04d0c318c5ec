"""WebSocket as pure code: bytes go in, messages and the bytes to send come out. No sockets, no clock, no chance."""
