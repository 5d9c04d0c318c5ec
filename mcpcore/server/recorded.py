"""What a handler does once however often it runs: effects, moments and random numbers, recorded as JSON.

Where the record travels between two runs, if it does, is the asking's business (``asking.py``).
"""

from __future__ import annotations

import builtins
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

from mcpcore.errors import OnceFailed, RpcError, ToolError, UsageError
from mcpcore.jsonrpc.codec import decode, encode

__all__ = ["Recorded"]

_OWN = {"ToolError": ToolError, "RpcError": RpcError, "OnceFailed": OnceFailed}
_TEXT_LIMIT = 500


class Recorded:
    """The recorded effects of one request. ``record`` is the JSON object they are kept in; ``restart`` begins a run."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.restart()

    def restart(self) -> None:
        self._names: set[str] = set()
        self._counts = {"now": 0, "random": 0}

    def has(self, name: str) -> bool:
        """Whether an earlier run made this effect."""
        return name in self.record.get("once", {})

    async def once(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result, or the failure, of the run that made it: the same value and type of error in every run."""
        if name in self._names:
            raise UsageError(f"ctx.once({name!r}, ...) ran before in this handler; give each call its own name")
        self._names.add(name)
        done = self.record.setdefault("once", {})
        if name not in done:
            try:
                value = function(*arguments)
                value = await value if inspect.isawaitable(value) else value
            except Exception as error:
                done[name] = _described(error)
                if _restored(done[name]).__class__ is error.__class__:
                    raise
                raise _restored(done[name]) from error
            done[name] = {"value": _as_json(name, value)}
        outcome = done[name]
        if "value" in outcome:
            return outcome["value"]
        raise _restored(outcome)

    def now(self) -> float:
        return self._recorded("now", time.time)

    def random(self) -> float:
        return self._recorded("random", _draw)

    def _recorded(self, kind: str, make: Callable[[], float]) -> float:
        values: list[float] = self.record.setdefault(kind, [])
        count = self._counts[kind] = self._counts[kind] + 1
        if count > len(values):
            values.append(make())
        return values[count - 1]


def _draw() -> float:
    return int.from_bytes(os.urandom(6), "big") / 2**48


def _as_json(name: str, value: Any) -> Any:
    """What the next run would read, so that the first one sees nothing else."""
    try:
        return decode(encode(value))
    except TypeError as error:
        raise UsageError(f"ctx.once({name!r}, ...) must give a JSON value: {error}") from None


def _described(error: Exception) -> dict[str, Any]:
    """An error that other runs can raise again: ours and Python's own as they are, all others as ``OnceFailed``."""
    kind = type(error)
    arguments: list[Any] = [error.code, error.message, error.data] if isinstance(error, RpcError) else list(error.args)
    try:
        short = len(encode(arguments)) <= _TEXT_LIMIT
    except TypeError:
        short = False
    known = kind in _OWN.values() or getattr(builtins, kind.__name__, None) is kind
    if known and short and all(argument is None or type(argument) in (str, int) for argument in arguments[:2]):
        return {"error": kind.__name__, "arguments": arguments}
    return {"error": "OnceFailed", "arguments": [f"{kind.__name__}: {error}"[:_TEXT_LIMIT]]}


def _restored(outcome: dict[str, Any]) -> Exception:
    name = outcome["error"]
    cls = _OWN.get(name) or getattr(builtins, name)
    error: Exception = cls(*outcome["arguments"])
    return error
