"""HTTP as pure code: bytes and ``now`` go in, heads, bodies and answers come out. No sockets, no clock."""
