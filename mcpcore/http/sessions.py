"""The legacy sessions of one server: which exist, whose they are, and which give way.

No HTTP, no clock, no chance here: ``now`` is an argument (monotonic seconds), ids come from ``mint``. A session in
which a request is being served or a stream is open never ends by itself; the others stand in the order of their last
use, so that ending the idle ones costs what it ends and nothing else.

Specification: ``2025-11-25/basic/transports``, "Session Management".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from mcpcore.core.limits import Limits
from mcpcore.http.resume import EventBudget, EventLog

__all__ = ["Session", "SessionTable", "SessionsFull"]

_MINTINGS = 8
"""A mint that repeats itself so often is no source of ids that cannot be guessed."""


class SessionsFull(Exception):
    """Every session that the server may hold is in use; a new one can be opened once one of them ends."""


class Session:
    """One legacy session. The counts are kept by `SessionTable`; the rest is for who serves it.

    ``runner`` is what serves it, ``standing`` the stream of its messages that belong to no request, ``ended`` is called
    once when the session ends, whatever ends it. Times are the table's ``now``.
    """

    __slots__ = (
        "closed",
        "created",
        "ended",
        "events",
        "id",
        "principal",
        "runner",
        "running",
        "standing",
        "streams",
        "used",
    )

    def __init__(self, id: str, principal: str, now: float, events: EventLog) -> None:
        self.id = id
        self.principal = principal
        self.created = self.used = now
        self.events = events
        self.runner: Any = None
        self.standing: Any = None
        self.running = 0  # requests being served
        self.streams = 0  # connections with an open event stream
        self.closed = False
        self.ended: Callable[[], object] | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being served or a stream is open."""
        return self.running > 0 or self.streams > 0

    def __repr__(self) -> str:
        # Not its id: who has that has the session, and logs are read by many.
        return f"<Session of {self.principal!r}, running={self.running}, streams={self.streams}, closed={self.closed}>"


class SessionTable:
    """All sessions of a server, at most ``limits.max_sessions``; ``events`` is the budget that their logs share.

    ``mint()`` gives an id that cannot be guessed, of visible ASCII.
    """

    def __init__(self, limits: Limits, mint: Callable[[], str]) -> None:
        self.events = EventBudget(limits.max_event_bytes)
        self._limits = limits
        self._mint = mint
        self._sessions: dict[str, Session] = {}
        self._idle: OrderedDict[str, Session] = OrderedDict()  # neither running nor streaming; the longest idle first

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def open(self, principal: str, now: float) -> Session:
        """A new session of that principal. Where there is no room, the one that is idle for longest ends.

        Raises `SessionsFull` where none is idle, and ValueError where ``mint`` gives no id that can be used.
        """
        session_id = self._new_id()
        if len(self._sessions) >= self._limits.max_sessions:
            if not self._idle:
                raise SessionsFull(f"all {len(self._sessions)} sessions are in use; try again later")
            self.end(next(iter(self._idle.values())))
        session = Session(session_id, principal, now, EventLog(self._limits, self.events, session_id))
        self._sessions[session_id] = self._idle[session_id] = session
        return session

    def find(self, session_id: str, principal: str, now: float) -> Session | None:
        """The session with that id, used now. That of another principal is as unknown as one that never was."""
        session = self._sessions.get(session_id)
        if session is None or session.principal != principal:
            return None
        self._touch(session, now)
        return session

    def request_began(self, session: Session) -> None:
        """A request is being served: the session does not end by itself before `request_ended`."""
        session.running += 1
        self._idle.pop(session.id, None)

    def request_ended(self, session: Session, now: float) -> None:
        session.running -= 1
        self._touch(session, now)

    def stream_opened(self, session: Session) -> None:
        """A connection streams events: the session does not end by itself before `stream_closed`."""
        session.streams += 1
        self._idle.pop(session.id, None)

    def stream_closed(self, session: Session, now: float) -> None:
        session.streams -= 1
        self._touch(session, now)

    def end(self, session: Session) -> None:
        """End a session: its id becomes unknown, ``ended`` and its streams are told, its events dropped. Once."""
        if session.closed:
            return
        session.closed = True
        del self._sessions[session.id]
        self._idle.pop(session.id, None)
        if session.ended is not None:
            session.ended()  # what it still says goes to the streams that are open
        session.events.close()

    def expire(self, now: float) -> list[Session]:
        """End the sessions that were idle for ``limits.session_seconds``, and return them."""
        expired: list[Session] = []
        while self._idle:
            session = next(iter(self._idle.values()))
            if now - session.used < self._limits.session_seconds:
                break
            expired.append(session)
            self.end(session)
        return expired

    def close_all(self) -> None:
        """End every session: the server stops."""
        for session in list(self._sessions.values()):
            self.end(session)

    def _touch(self, session: Session, now: float) -> None:
        session.used = now
        if not session.closed and not session.busy:
            self._idle[session.id] = session
            self._idle.move_to_end(session.id)

    def _new_id(self) -> str:
        for _ in range(_MINTINGS):
            session_id = self._mint()
            if not session_id or not all("\x21" <= character <= "\x7e" for character in session_id):
                raise ValueError(f"a session id must be visible ASCII, 0x21 to 0x7E, and the mint gave {session_id!r}")
            if session_id not in self._sessions:
                return session_id
        raise ValueError(f"the mint gave {_MINTINGS} ids in a row that are in use; it must not repeat itself")
