"""Messages that are wrong, and the error that each must get. ``id`` is ``UNREADABLE`` where none can be read.

Used against every revision: what differs between them is only the form of an error without an id.
"""

from __future__ import annotations

import random
from typing import Any, Final

UNREADABLE: Final = object()
PARSE, REQUEST, PARAMS = -32700, -32600, -32602

TABLE: list[tuple[bytes, int, Any]] = [
    # not JSON
    (b"garbage", PARSE, UNREADABLE),
    (b"{", PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"}}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}', PARSE, UNREADABLE),
    (b"{'jsonrpc':'2.0'}", PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":Infinity,"method":"ping"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":01,"method":"ping"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1,"method":"a\tb"}', PARSE, UNREADABLE),
    (b"\xef\xbb\xbf" + b'{"jsonrpc":"2.0","id":1,"method":"ping"}', PARSE, UNREADABLE),
    (b"\x00", PARSE, UNREADABLE),
    (b"[" * 5000, PARSE, UNREADABLE),
    (b'{"a":' * 5000, PARSE, UNREADABLE),
    (b"Content-Length: 20", PARSE, UNREADABLE),
    (b"HTTP/1.1 200 OK", PARSE, UNREADABLE),
    (b"undefined", PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0",}', PARSE, UNREADABLE),
    (b'{"jsonrpc":"2.0" "id":1}', PARSE, UNREADABLE),
    (b"{jsonrpc:2.0}", PARSE, UNREADABLE),
    (b'"\\x41"', PARSE, UNREADABLE),
    # JSON, but no object
    (b"null", REQUEST, UNREADABLE),
    (b"true", REQUEST, UNREADABLE),
    (b"42", REQUEST, UNREADABLE),
    (b"4.5", REQUEST, UNREADABLE),
    (b'"ping"', REQUEST, UNREADABLE),
    (b"[]", REQUEST, UNREADABLE),
    # objects that are no messages
    (b"{}", REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":7}', REQUEST, 7),
    (b'{"jsonrpc":"2.0","id":"7"}', REQUEST, "7"),
    (b'{"id":8,"method":"ping"}', REQUEST, 8),
    (b'{"jsonrpc":"1.0","id":9,"method":"ping"}', REQUEST, 9),
    (b'{"jsonrpc":2.0,"id":10,"method":"ping"}', REQUEST, 10),
    (b'{"jsonrpc":null,"id":11,"method":"ping"}', REQUEST, 11),
    (b'{"jsonrpc":"2.0","id":12,"method":null}', REQUEST, 12),
    (b'{"jsonrpc":"2.0","id":13,"method":1}', REQUEST, 13),
    (b'{"jsonrpc":"2.0","id":14,"method":""}', REQUEST, 14),
    (b'{"jsonrpc":"2.0","id":15,"method":["ping"]}', REQUEST, 15),
    (b'{"jsonrpc":"2.0","id":16,"method":{}}', REQUEST, 16),
    (b'{"jsonrpc":"2.0","method":17}', REQUEST, UNREADABLE),
    # ids that are none
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":false,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1.0,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":1e2,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":[],"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"ping"}', REQUEST, UNREADABLE),
    (b'{"jsonrpc":"2.0","id":-9223372036854775809,"method":"ping"}', REQUEST, UNREADABLE),
    # params that are none
    (b'{"jsonrpc":"2.0","id":20,"method":"ping","params":[]}', REQUEST, 20),
    (b'{"jsonrpc":"2.0","id":21,"method":"ping","params":[1]}', REQUEST, 21),
    (b'{"jsonrpc":"2.0","id":22,"method":"ping","params":"x"}', REQUEST, 22),
    (b'{"jsonrpc":"2.0","id":23,"method":"ping","params":5}', REQUEST, 23),
    (b'{"jsonrpc":"2.0","id":24,"method":"ping","params":null}', REQUEST, 24),
    (b'{"jsonrpc":"2.0","id":25,"method":"ping","params":true}', REQUEST, 25),
    (b'{"jsonrpc":"2.0","id":"","method":"ping","params":[]}', REQUEST, ""),
    (b'{"jsonrpc":"2.0","id":0,"method":"ping","params":[]}', REQUEST, 0),
    (b'{"jsonrpc":"2.0","id":26,"method":"ping","params":{"_meta":7}}', PARAMS, 26),
    (b'{"jsonrpc":"2.0","id":27,"method":"ping","params":{"_meta":[]}}', PARAMS, 27),
]


def mangled(count: int, seed: int) -> list[bytes]:
    """Well-formed messages with a few bytes changed, dropped or doubled. Some of them are still messages."""
    draw = random.Random(seed)
    good = [frame for frame, _, _ in TABLE] + [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
    ]
    frames = []
    for _ in range(count):
        frame = bytearray(draw.choice(good))
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(frame)) if frame else 0
            action = draw.randrange(3)
            if action == 0 and frame:
                frame[place] = draw.randrange(256)
            elif action == 1 and frame:
                del frame[place]
            else:
                frame.insert(place, draw.choice(b'{}[]",:0\\e.'))
        frames.append(bytes(frame).replace(b"\n", b" "))
    return frames
