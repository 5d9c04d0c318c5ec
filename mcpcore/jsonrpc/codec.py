"""Bytes ↔ JSON values; the only file that imports orjson. Nothing here knows what a message is.

``decode`` refuses what RFC 8259 refuses: NaN, Infinity, numbers beyond a double, bad UTF-8, lone surrogates, a byte
order mark, and more than 1,024 levels of nesting. Integers from -2^63 to 2^64-1 are exact, anything larger becomes a
float. Of duplicate keys the last one wins.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["Unreadable", "decode", "encode", "encode_sorted"]


class Unreadable(ValueError):
    """The bytes are not JSON. The text says what was expected where, and never repeats the input."""


def decode(data: bytes | bytearray | memoryview | str) -> Any:
    """The JSON value that ``data`` holds. Raises ``Unreadable``."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Unreadable(str(error)) from None


def encode(value: Any) -> bytes:
    """``value`` as compact UTF-8 JSON without a newline. Raises ``TypeError`` for what JSON cannot say."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _encode_unusual(value)


def encode_sorted(value: Any) -> bytes:
    """The same with the members of every object in order: equal values give equal bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _encode_unusual(value, True)


def _encode_unusual(value: Any, sort: bool = False) -> bytes:
    """What orjson declines but JSON allows: nesting beyond 254 levels, integers beyond 64 bits."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort)
        return text.encode()
    except RecursionError:
        raise TypeError("the value is nested too deeply to be written as JSON") from None
    except UnicodeEncodeError:
        raise TypeError("a string holds half of a surrogate pair and cannot be written as UTF-8") from None
    except ValueError as error:
        raise TypeError(f"the value cannot be written as JSON: {error}") from None
