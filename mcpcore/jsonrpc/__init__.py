"""JSON-RPC 2.0 as pure functions: bytes and objects in, bytes and objects out."""
