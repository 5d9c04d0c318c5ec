"""Events kept so that a broken stream can be resumed: one log a session, one cursor a stream, bounds for each and all.

No bytes of SSE here, no connection, no clock. A `Sink` is whatever writes the events of one connection.

Each event is handed to one connection, in order, without a gap. What a connection has not taken stays here; what was
handed over stays too, until its client says with ``Last-Event-ID`` that it has it, since what was written to a socket
may never have arrived. When room is needed, what was handed over on streams that are still connected or came to their
end gives way first; then what somebody has yet to fetch; the oldest first. A position after which something is missing
is not resumable any more: a gap is never hidden.

An event id is ``<session tag>-<stream>-<number>`` in base 36. Plain counters are enough: an id is only ever looked up
in the log of the session that the request named and was entitled to, so guessing one shows only one's own events. The
tag only makes an id of another session unknown here, where it would otherwise be some position of ours.

Specification: ``2025-11-25/basic/transports``, "Resumability and Redelivery".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import blake2b
from typing import Literal, Protocol, TypeAlias

from mcpcore.core.limits import Limits

__all__ = ["EVENT_COST", "EventBudget", "EventLog", "Over", "Resumption", "Sink", "StreamLog"]

EVENT_COST = 512
"""Bytes that one kept event costs beside its frame, with a share of its stream: a million empty ones are not free."""

Over: TypeAlias = Literal["finished", "replaced", "lost", "closed"]
"""Why a connection gets nothing more: its stream is finished and all of it was handed over; another connection took the
stream; it took so little for so long that its next event had to give way; its session has ended."""

_NUMBER = re.compile(r"0|[1-9a-z][0-9a-z]{0,11}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Sink(Protocol):
    """The connection that a stream is attached to. From within it may call `StreamLog.detach`, but append nothing."""

    def event(self, event_id: str, frame: bytes, /) -> bool:
        """Take one event. False means: taken, but the next one only after `StreamLog.drained`."""

    def over(self, why: Over, /) -> None:
        """The connection was detached and gets nothing more. `StreamLog.detach` does not call this."""


class EventBudget:
    """The bytes that all logs of a server keep together: never above ``limit``, with `EVENT_COST` for each event.

    What was handed over gives way before what waits. In both cases a log that holds more than its share pays for
    itself, so that a noisy session does not cost the quiet ones their events; else the log to which nothing was added
    for longest.
    """

    __slots__ = ("_handed", "_sharing", "_waiting", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._sharing = 0  # logs that keep something
        self._handed: OrderedDict[EventLog, None] = OrderedDict()  # logs that keep such events, the quietest first
        self._waiting: OrderedDict[EventLog, None] = OrderedDict()

    def _make_room(self, log: EventLog) -> None:
        logs = self._handed or self._waiting
        above_its_share = log.size * self._sharing > self.limit
        pays = log if above_its_share and log in logs else next(iter(logs))
        pays._drop_oldest()


class EventLog:
    """The events of one session. ``session_id`` gives its event ids their tag, from which it cannot be told.

    ``events`` are kept, of ``size`` bytes (frames, and `EVENT_COST` for each): never above ``limits.session_events``
    and ``limits.session_event_bytes``.
    """

    __slots__ = (
        "_budget",
        "_handed",
        "_limits",
        "_opened",
        "_seq",
        "_standing",
        "_streams",
        "_tag",
        "_waiting",
        "closed",
        "events",
        "size",
    )

    def __init__(self, limits: Limits, budget: EventBudget, session_id: str) -> None:
        self.closed = False
        self.events = self.size = 0
        self._limits = limits
        self._budget = budget
        self._tag = _base36(int.from_bytes(blake2b(session_id.encode(), digest_size=3).digest(), "big"))
        self._opened = self._seq = 0
        self._streams: dict[str, StreamLog] = {}  # those that run or of which something is kept
        self._standing: StreamLog | None = None
        # Every event kept stands in one of these with its place in the session: it was handed over and its connection
        # is there or got everything; or somebody is expected to fetch it.
        self._handed: OrderedDict[int, StreamLog] = OrderedDict()
        self._waiting: OrderedDict[int, StreamLog] = OrderedDict()

    @property
    def standing(self) -> StreamLog:
        """The stream of GET requests, which never finishes. What is sent while none is attached waits, within bounds.

        A GET without ``Last-Event-ID`` gets what was never handed to a connection, as far as it is still kept, and what
        comes from then on. What an earlier connection may have lost is only for who resumes with an id.
        """
        if self._standing is None:
            self._standing = StreamLog(self, "0")
            if not self.closed:
                self._streams["0"] = self._standing
        return self._standing

    def open_stream(self) -> StreamLog:
        """The stream of one POST request."""
        self._opened += 1
        stream = StreamLog(self, _base36(self._opened))
        if not self.closed:
            self._streams[stream.key] = stream
        return stream

    def after(self, last_event_id: str) -> Resumption | None:
        """What follows that id on its own stream. The client has everything up to it, so that need not be kept.

        None where it cannot be resumed: the id is malformed, of another session, of no event that was handed to a
        connection, or something that comes after it was dropped.
        """
        tag, *parts = last_event_id.split("-", 4)
        if tag != self._tag or len(parts) not in (2, 3) or not all(map(_NUMBER.fullmatch, parts)):
            return None
        stream = self._streams.get(parts[0])
        position = int(parts[1], 36)
        if stream is None or not stream._dropped <= position <= stream._given:
            return None
        if len(parts) == 3:
            known = 1 <= int(parts[2], 36) <= stream._primes
        else:
            known = position > 0  # that nothing came yet is said by priming events alone
        if not known:
            return None
        if not stream.attached:  # else when it is replaced: it may be slower than its client was with another one
            stream._drop_to(position)
        return Resumption(stream, position)

    def close(self) -> None:
        """The session has ended: everything is dropped and the attached connections are told."""
        if self.closed:
            return
        self.closed = True
        streams = list(self._streams.values())
        for stream in streams:
            stream._end("closed")
        for stream in streams:
            stream._drop_to(stream._last)
        self._streams.clear()

    # -- called by the streams ---------------------------------------------------------------------------------------

    def _keep(self, stream: StreamLog, number: int, frame: bytes) -> None:
        """Keep an event, or leave a gap that `after` will notice."""
        limits, budget = self._limits, self._budget
        cost = len(frame) + EVENT_COST
        fits = limits.session_events and cost <= limits.session_event_bytes and cost <= budget.limit
        if fits and not stream._broken and not self.closed:
            while self.events >= limits.session_events or self.size + cost > limits.session_event_bytes:
                self._drop_oldest()
            while budget.used + cost > budget.limit:
                budget._make_room(self)
        if not fits or stream._broken or self.closed:  # asked again: it may be its own past that gave way
            stream._drop_to(number)
            return
        self._seq += 1
        stream._kept[number] = (self._seq, frame)
        budget._sharing += not self.events
        budget.used += cost
        self.events += 1
        self.size += cost
        self._enlist(self._seq, stream, handed=number <= stream._cursor)

    def _release(self, seq: int, frame: bytes) -> None:
        """One event is no longer kept."""
        cost = len(frame) + EVENT_COST
        self.size -= cost
        self.events -= 1
        self._budget.used -= cost
        self._budget._sharing -= not self.events
        self._strike(seq)

    def _enlist(self, seq: int, stream: StreamLog, *, handed: bool) -> None:
        if handed:
            own, logs = self._handed, self._budget._handed
        else:
            own, logs = self._waiting, self._budget._waiting
        own[seq] = stream
        logs[self] = None
        logs.move_to_end(self)

    def _strike(self, seq: int) -> None:
        for own, logs in ((self._handed, self._budget._handed), (self._waiting, self._budget._waiting)):
            if own.pop(seq, None) is not None and not own:
                del logs[self]

    def _drop_oldest(self) -> None:
        stream = next(iter((self._handed or self._waiting).values()))
        stream._drop_to(stream._dropped + 1)


class StreamLog:
    """The events of one stream, numbered from 1, and the connection that they are handed to.

    ``key`` tells it from the others of its session; ``finished`` is true once nothing more will be appended.
    """

    __slots__ = (
        "_cursor",
        "_dropped",
        "_given",
        "_kept",
        "_last",
        "_log",
        "_prefix",
        "_primes",
        "_ready",
        "_sink",
        "finished",
        "key",
    )

    def __init__(self, log: EventLog, key: str) -> None:
        self.key = key
        self.finished = False
        self._log = log
        self._prefix = f"{log._tag}-{key}-"
        self._kept: dict[int, tuple[int, bytes]] = {}  # number -> place in the log's order, frame; all after _dropped
        self._last = 0  # the number of the event appended last
        self._dropped = 0  # of the last one that is not kept any more
        self._given = 0  # of the last one that was ever handed to a connection
        self._primes = 0
        self._sink: Sink | None = None
        self._cursor = 0  # of the last one that was handed to the attached connection
        self._ready = False  # the attached connection has taken everything and takes the next event at once

    @property
    def attached(self) -> bool:
        """Whether a connection is."""
        return self._sink is not None

    @property
    def sink(self) -> Sink | None:
        """The connection that is attached."""
        return self._sink

    def append(self, frame: bytes) -> str:
        """Hand the next event to the attached connection, keep it, and return its id. ValueError once finished."""
        if self.finished:
            raise ValueError(f"stream {self.key} is finished: nothing can follow its response")
        number = self._last = self._last + 1
        event_id = self._prefix + _base36(number)
        sink = self._sink
        if sink is None or not self._ready:
            self._log._keep(self, number, frame)
            return event_id
        self._cursor = self._given = number
        self._ready = False
        self._log._keep(self, number, frame)
        if self._sink is sink and sink.event(event_id, frame):
            self.drained(sink)
        return event_id

    def prime(self) -> str:
        """A new id for the empty event that a connection begins with, so that it can be resumed before a real one came.

        Write it before `attach`: it says that nothing of what `attach` hands over has come. Nothing is kept for it.
        """
        self._primes += 1
        return f"{self._prefix}{_base36(self._start())}-{_base36(self._primes)}"

    def finish(self) -> None:
        """The response was appended: nothing follows. The connection is told once it has taken everything."""
        if self.finished:
            return
        self.finished = True
        if self._ready:
            self._end("finished")
        self._tidy()

    def attach(self, sink: Sink) -> None:
        """Hand to ``sink`` what no connection got yet, at once, and then what comes. Who was attached is replaced."""
        self._attach(sink, self._start())

    def detach(self, sink: Sink) -> None:
        """The connection is gone. Nothing happens if the stream is attached to another one by now."""
        if self._sink is sink:
            self._leave(complete=False)

    def drained(self, sink: Sink) -> None:
        """The connection takes more, after `Sink.event` gave False."""
        while self._sink is sink and self._cursor < self._last:
            number = self._cursor = self._cursor + 1
            self._given = max(self._given, number)
            seq, frame = self._kept[number]
            self._log._strike(seq)
            self._log._enlist(seq, self, handed=True)
            if not sink.event(self._prefix + _base36(number), frame):
                return
        if self._sink is sink:
            self._ready = True
            if self.finished:
                self._end("finished")

    # -- how it goes on ----------------------------------------------------------------------------------------------

    @property
    def _broken(self) -> bool:
        """An event is gone that no connection ever got. On the standing stream those just give way."""
        return self._dropped > self._given and self is not self._log._standing

    def _start(self) -> int:
        """The position from which a new connection is served that names none."""
        if self is self._log._standing:
            self._given = max(self._given, self._dropped)
        return self._given

    def _attach(self, sink: Sink, position: int) -> None:
        if self._log.closed:
            sink.over("closed")
            return
        before, self._sink = self._sink, sink
        self._cursor, self._ready = position, False
        self._sort()
        if before is not None and before is not sink:
            before.over("replaced")
        if self._sink is sink and position < self._dropped:
            self._end("lost")
        self.drained(sink)

    def _end(self, why: Over) -> None:
        sink = self._sink
        if sink is not None:
            self._leave(complete=why == "finished")
            sink.over(why)

    def _leave(self, *, complete: bool) -> None:
        self._sink = None
        self._ready = False
        if not complete:  # what was handed over may have to be fetched again
            self._cursor = 0
            self._sort()

    def _sort(self) -> None:
        """Put each event kept where it belongs now that a connection came or went."""
        log = self._log
        for number, (seq, _) in self._kept.items():
            handed = number <= self._cursor
            if handed is not (seq in log._handed):
                log._strike(seq)
                log._enlist(seq, self, handed=handed)

    def _drop_to(self, number: int) -> None:
        """Drop the events up to that number; one that was not kept counts as dropped."""
        while self._dropped < number:
            self._dropped += 1
            kept = self._kept.pop(self._dropped, None)
            if kept is not None:
                self._log._release(*kept)
        if self._sink is not None and self._cursor < self._dropped:
            self._end("lost")
        self._tidy()

    def _tidy(self) -> None:
        """Drop what nobody can get any more."""
        if self._broken and self._kept:
            self._drop_to(self._last)
        elif self.finished and not self._kept:
            self._log._streams.pop(self.key, None)


class Resumption:
    """A stream from a position on. Nothing is handed over before `attach`."""

    __slots__ = ("position", "stream")

    def __init__(self, stream: StreamLog, position: int) -> None:
        self.stream = stream
        self.position = position

    @property
    def left(self) -> int:
        """How many events wait after the position."""
        return self.stream._last - self.position

    @property
    def finished(self) -> bool:
        """Whether nothing comes after those that wait. With ``left == 0`` the client has everything already."""
        return self.stream.finished

    def attach(self, sink: Sink) -> None:
        """Hand to ``sink`` what follows the position, then what comes; without a gap or a repetition between them."""
        self.stream._attach(sink, self.position)
        self.stream._drop_to(self.position)


def _base36(number: int) -> str:
    digits = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
