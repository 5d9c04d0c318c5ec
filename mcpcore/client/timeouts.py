"""How long a client waits: the three limits of a call, and a clock that stands still while we answer the server.

Nothing here sets a timer; ``calls.py`` does. Seconds everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mcpcore.errors import CallTimeout, ConnectFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.core.limits import Limits

__all__ = ["Clock", "ConnectTimeout", "Pauses", "Timeout", "Timeouts"]


class Timeouts(msgspec.Struct, frozen=True):
    """The limits of one call, in seconds; ``None`` switches one off. The same on every transport.

    ``connect``: from starting the server to the end of the handshake. ``idle``: since the server was last heard of this
    call; its progress starts it anew. ``total``: the whole call, progress or not, all rounds of questions together.
    What our own callbacks take to answer the server's questions counts for neither.
    """

    connect: float | None = 30.0
    idle: float | None = 60.0
    total: float | None = 600.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                raise UsageError(f"Timeouts.{name} must be a number of seconds above zero, or None for no limit")

    def narrowed(self, timeout: Timeout) -> Timeouts:
        """These limits with what one call asks for: a number is the time in total, spent idly or not."""
        if timeout is None or isinstance(timeout, Timeouts):
            return timeout or self
        return Timeouts(self.connect, None, timeout)


Timeout = Timeouts | float | None
"""What ``timeout=`` takes: a number means the total, ``None`` the limits of the client."""


class ConnectTimeout(CallTimeout, ConnectFailed):
    """The server did not answer before the limit ``connect`` was over."""


class Pauses:
    """How long to wait before opening again what the server, or its death, ended: each pause is twice the one before.

    A stretch without a pause that is longer than the longest pause begins anew.
    """

    def __init__(self, limits: Limits, time: Callable[[], float]) -> None:
        self._limits = limits
        self._time = time
        self._count = 0
        self._last = time()

    def next(self) -> float | None:
        """Seconds, or ``None`` where it is time to give up."""
        now = self._time()
        if now - self._last > 2 * self._limits.relisten_seconds:
            self._count = 0
        if self._count >= self._limits.max_relistens:
            return None
        pause: float = min(0.1 * 2**self._count, self._limits.relisten_seconds)
        self._count += 1
        self._last = now + pause
        return pause


class Clock:
    """The loop's time, but for the stretches in which the server waits for us."""

    __slots__ = ("_behind", "_holds", "_since", "_time", "on_resume")

    def __init__(self, time: Callable[[], float], on_resume: Callable[[], None]) -> None:
        self._time = time
        self._behind = 0.0
        self._since = 0.0
        self._holds = 0
        self.on_resume = on_resume

    def now(self) -> float:
        return (self._since if self._holds else self._time()) - self._behind

    @property
    def stands(self) -> bool:
        return self._holds > 0

    def hold(self) -> None:
        """Stand still until as many ``release`` have come."""
        if not self._holds:
            self._since = self._time()
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._behind += self._time() - self._since
            self.on_resume()
