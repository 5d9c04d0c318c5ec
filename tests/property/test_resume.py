"""The event store as a state machine: streams grow, connections are cut at any byte, clients come back with any id.

Beside it stands a model that remembers everything. A client keeps the events it received whole, as it parsed them off
the bytes, and names the last one when it comes back. With room for everything no client misses or repeats an event;
with little room it may be turned away, but what it gets has no gap, and no bound is ever exceeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mcpcore.core.limits import Limits
from mcpcore.http.resume import EVENT_COST, EventBudget, EventLog, Over, StreamLog

PICK = st.integers(0, 11)
EAGER = 1 << 30
CUT = st.floats(0, 1) | st.just(1.0)
ROOM = st.sampled_from([1, 3, EAGER, EAGER])


@dataclass(eq=False)
class Connection:
    """What one connection was handed, and the bytes that it wrote for it."""

    room: int
    start: int | None  # the position it began after; None where the store may choose (a fresh GET)
    got: list[tuple[str, bytes]] = field(default_factory=list)
    wire: bytearray = field(default_factory=bytearray)
    told: list[Over] = field(default_factory=list)
    broken: bool = False  # its client is gone, whether the server knows or not

    def event(self, event_id: str, frame: bytes) -> bool:
        assert not self.told, "an event after the end"
        if self.start is None:
            self.start = position_of(event_id) - 1
        self.got.append((event_id, frame))
        self.write(event_id, frame)
        self.room -= 1
        return self.room > 0

    def write(self, event_id: str, frame: bytes) -> None:
        if not self.broken:
            self.wire += b"id: %s\ndata: %s\n\n" % (event_id.encode(), frame)

    def over(self, why: Over) -> None:
        self.told.append(why)

    @property
    def reached(self) -> int:
        return (self.start or 0) + len(self.got)


@dataclass(eq=False)
class Stream:
    """The model of one stream, the latest of its connections, and the client at their other end."""

    log: Session
    store: StreamLog
    standing: bool
    frames: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    primes: dict[str, int] = field(default_factory=dict)  # id -> position
    finished: bool = False
    connections: list[Connection] = field(default_factory=list)
    told: int = 0  # the furthest position that a client claimed to have
    # The client: the events of its latest unbroken run, the position of the first of them, the id it would name.
    had: list[bytes] = field(default_factory=list)
    had_from: int = 0
    last_id: str | None = None

    @property
    def given(self) -> int:
        return max((connection.reached for connection in self.connections), default=0)

    @property
    def live(self) -> Connection | None:
        return self.connections[-1] if self.connections and self.store.attached else None


@dataclass(eq=False)
class Session:
    store: EventLog
    streams: list[Stream] = field(default_factory=list)
    closed: bool = False


def position_of(event_id: str) -> int:
    return int(event_id.split("-")[2], 36)


def whole_events(received: bytes) -> list[tuple[str, bytes]]:
    """What a client makes of the bytes: an event without its blank line did not come."""
    found = []
    for block in received.split(b"\n\n")[:-1]:
        event_id, data = block.split(b"\n")
        found.append((event_id.removeprefix(b"id: ").decode(), data.removeprefix(b"data: ")))
    return found


class Store(RuleBasedStateMachine):
    limits = Limits()
    roomy = True

    @initialize()
    def begin(self) -> None:
        self.budget = EventBudget(self.limits.max_event_bytes)
        self.sessions: list[Session] = []
        self.counter = 0
        self.open_session()
        self.open_session()

    # -- the server's side ---------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.sessions) < 4)
    @rule()
    def open_session(self) -> None:
        session = Session(EventLog(self.limits, self.budget, f"session {len(self.sessions)}"))
        self.sessions.append(session)
        session.streams.append(Stream(session, session.store.standing, standing=True))

    @rule(pick=PICK, room=ROOM, primed=st.booleans(), connected=st.booleans())
    def open_stream(self, pick: int, room: int, primed: bool, connected: bool) -> None:
        session = self.sessions[pick % len(self.sessions)]
        stream = Stream(session, session.store.open_stream(), standing=False)
        session.streams.append(stream)
        if connected:
            self.begin_connection(stream, room, primed)

    @rule(pick=PICK, count=st.integers(1, 9), size=st.sampled_from([0, 0, 10, 500, 1500, 5000]))
    def append(self, pick: int, count: int, size: int) -> None:
        for stream in self.choose(pick, lambda stream: not stream.finished):
            for _ in range(count):
                self.counter += 1
                frame = b"%d:%s" % (self.counter, b"x" * size)
                stream.frames.append(frame)
                stream.ids.append(stream.store.append(frame))

    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        for stream in self.choose(pick, lambda stream: not stream.standing and len(stream.frames) > 1):
            stream.finished = True
            stream.store.finish()

    @precondition(lambda self: len(self.sessions) > 2)
    @rule()
    def end_session(self) -> None:
        """Each but the first two, once there are more; what is done to it afterwards must not matter."""
        session = self.sessions[-1]
        live = [stream.live for stream in session.streams]
        session.closed = True
        session.store.close()
        assert session.store.events == session.store.size == 0
        assert all(connection.told == ["closed"] for connection in live if connection)

    # -- connections ---------------------------------------------------------------------------------------------------

    @rule(pick=PICK, room=ROOM, primed=st.booleans())
    def attach(self, pick: int, room: int, primed: bool) -> None:
        """A connection that names no id: the first one of a POST, or any GET."""
        for stream in self.choose(pick, lambda stream: stream.standing or not stream.connections):
            self.begin_connection(stream, room, primed)

    def begin_connection(self, stream: Stream, room: int, primed: bool) -> None:
        given, before = stream.given, stream.live
        connection = Connection(room, start=given if self.roomy or not stream.standing else None)
        stream.had, stream.last_id = [], None
        if primed:
            self.prime(stream, connection, given)
        stream.connections.append(connection)
        stream.store.attach(connection)
        if connection.start is None:
            connection.start = len(stream.frames)  # nothing of what was sent before is there any more
        assert before is None or before.told == ["replaced"]

    def prime(self, stream: Stream, connection: Connection, given: int) -> None:
        prime = stream.store.prime()
        position = position_of(prime)
        assert prime not in stream.primes
        may_skip = stream.standing and (stream.log.closed or not self.roomy)
        assert position == given or (position > given and may_skip)
        stream.primes[prime] = connection.start = position
        connection.write(prime, b"")

    @rule(pick=PICK, room=st.integers(1, 10))
    def drain(self, pick: int, room: int) -> None:
        """A connection has room again; also one that was replaced long ago, which must not matter."""
        for stream in self.choose(pick, lambda stream: any(not c.told and c.room <= 0 for c in stream.connections)):
            for connection in stream.connections[-2:]:
                connection.room = max(connection.room, room)
                stream.store.drained(connection)

    @rule(pick=PICK, cut=CUT)
    def read(self, pick: int, cut: float) -> None:
        """The client has read so far; the rest is under way."""
        for stream in self.choose(pick, self.unread):
            self.receive_some(stream, cut)

    @rule(pick=PICK, cut=CUT, noticed=st.booleans())
    def cut(self, pick: int, cut: float, noticed: bool) -> None:
        """So much arrived before the connection broke, which the server may notice or not."""
        for stream in self.choose(pick, self.unread):
            self.break_off(stream, cut)
            if noticed:
                stream.store.detach(stream.connections[-1])

    def unread(self, stream: Stream) -> bool:
        return bool(stream.connections and stream.connections[-1].wire)

    def receive_some(self, stream: Stream, cut: float) -> None:
        wire = stream.connections[-1].wire
        arrived = bytes(wire[: round(cut * len(wire))])
        del wire[: arrived.rfind(b"\n\n") + 2 if b"\n\n" in arrived else 0]
        for event_id, frame in whole_events(arrived):
            self.receive(stream, event_id, frame)

    def break_off(self, stream: Stream, cut: float) -> None:
        self.receive_some(stream, cut)
        stream.connections[-1].broken = True
        stream.connections[-1].wire.clear()

    def receive(self, stream: Stream, event_id: str, frame: bytes) -> None:
        stream.last_id = event_id
        if event_id in stream.primes:
            stream.had, stream.had_from = [], stream.primes[event_id]
            return
        position = stream.ids.index(event_id) + 1
        if not stream.had:
            stream.had_from = position - 1
        assert position == stream.had_from + len(stream.had) + 1, "missed or repeated"
        assert frame == stream.frames[position - 1]
        stream.had.append(frame)

    # -- coming back ---------------------------------------------------------------------------------------------------

    @rule(pick=PICK, room=ROOM, cut=CUT)
    def resume(self, pick: int, room: int, cut: float) -> None:
        """The client of a stream names the last event that it received whole. The rest of the bytes is lost."""
        for stream in self.choose(pick, lambda stream: stream.last_id is not None or self.unread(stream)):
            self.break_off(stream, cut)
            if stream.last_id is not None:
                self.come_back(stream.log, stream.last_id, room)

    @rule(session=PICK, pick=PICK, event=st.integers(0, 1 << 16), room=ROOM)
    def resume_with_any_id(self, session: int, pick: int, event: int, room: int) -> None:
        """An old id, one of another session, one that was never handed over."""
        for stream in self.choose(pick, lambda stream: bool(stream.ids or stream.primes)):
            known = [*stream.ids, *stream.primes]
            asked = stream.log if session % 4 else self.sessions[session % len(self.sessions)]
            self.come_back(asked, known[event % len(known)], room)

    @rule(pick=PICK, garbage=st.text(st.characters(max_codepoint=0x7F) | st.sampled_from("-0aé²"), max_size=80))
    def resume_with_garbage(self, pick: int, garbage: str) -> None:
        session = self.sessions[pick % len(self.sessions)]
        known = {known for stream in session.streams for known in [*stream.ids, *stream.primes]}
        if garbage not in known:
            assert session.store.after(garbage) is None

    def come_back(self, session: Session, event_id: str, room: int) -> None:
        stream = next((stream for stream in session.streams if event_id in [*stream.ids, *stream.primes]), None)
        resumption = session.store.after(event_id)
        if resumption is None:
            assert stream is None or not self.must_resume(stream, position_of(event_id))
            return
        assert stream is not None
        assert resumption.stream is stream.store
        assert self.may_resume(stream, position_of(event_id))
        stream.told = position = position_of(event_id)
        if stream.last_id != event_id:  # somebody else's id: its client is a new one from here on
            stream.had, stream.had_from, stream.last_id = [], position, event_id
        before, connection = stream.live, Connection(room, position)
        assert resumption.left == len(stream.frames) - position
        assert resumption.finished == stream.finished
        stream.connections.append(connection)
        resumption.attach(connection)
        assert before is None or before.told == ["replaced"]
        assert "lost" not in connection.told

    def may_resume(self, stream: Stream, position: int) -> bool:
        return not stream.log.closed and stream.told <= position <= max(stream.given, *stream.primes.values(), 0)

    def must_resume(self, stream: Stream, position: int) -> bool:
        complete = stream.finished and stream.told == len(stream.frames)  # forgotten since
        return self.roomy and self.may_resume(stream, position) and not complete

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def each_connection_got_its_stream_in_order_without_gap_or_repetition(self) -> None:
        for stream in self.all_streams():
            for connection in stream.connections[-3:]:
                start = connection.start or 0
                end = start + len(connection.got)
                assert connection.got == list(zip(stream.ids, stream.frames, strict=True))[start:end]

    @invariant()
    def whoever_takes_at_once_has_got_everything(self) -> None:
        for stream in self.all_streams():
            connection = stream.live
            if connection is not None and connection.room > 0:
                assert connection.reached == len(stream.frames)
                assert not stream.finished

    @invariant()
    def each_connection_is_told_its_end_at_most_once_and_truly(self) -> None:
        for stream in self.all_streams():
            for connection in stream.connections[-3:]:
                assert len(connection.told) <= 1
                if connection.told == ["finished"]:
                    assert stream.finished
                    assert connection.reached == len(stream.frames)
                assert not (self.roomy and connection.told == ["lost"])

    @invariant()
    def no_bound_is_exceeded_and_the_books_are_right(self) -> None:
        for session in self.sessions:
            store, kept = session.store, [stream._kept for stream in session.store._streams.values()]
            assert store.events <= self.limits.session_events
            assert store.size <= self.limits.session_event_bytes
            assert store.events == sum(map(len, kept)) == len(store._handed) + len(store._waiting)
            assert store.size == sum(len(frame) + EVENT_COST for events in kept for _, frame in events.values())
            assert len(kept) <= store.events + sum(not stream.finished for stream in session.streams)
            assert (store in self.budget._handed, store in self.budget._waiting) == (
                bool(store._handed),
                bool(store._waiting),
            )
        assert self.budget.used == sum(session.store.size for session in self.sessions) <= self.budget.limit
        assert self.budget._sharing == sum(session.store.events > 0 for session in self.sessions)

    @invariant()
    def ids_are_unique_in_their_session(self) -> None:
        for session in self.sessions:
            ids = [known for stream in session.streams for known in [*stream.ids, *stream.primes]]
            assert len(set(ids)) == len(ids)

    def teardown(self) -> None:
        """With room for everything, each client that came to know an id gets the rest of its stream after all."""
        for stream in self.all_streams() if self.roomy else []:
            claimed = stream.told > stream.had_from + len(stream.had)  # somebody told for it that it had more
            complete = stream.finished and stream.told == len(stream.frames)
            if stream.last_id is None or stream.log.closed or claimed or complete:
                continue
            self.come_back(stream.log, stream.last_id, EAGER)
            for event_id, frame in whole_events(bytes(stream.connections[-1].wire)):
                self.receive(stream, event_id, frame)
            assert stream.had == stream.frames[stream.had_from :]

    # -- choosing ------------------------------------------------------------------------------------------------------

    def all_streams(self) -> list[Stream]:
        return [stream for session in getattr(self, "sessions", []) for stream in session.streams]

    def choose(self, pick: int, able: Callable[[Stream], bool]) -> list[Stream]:
        """One of those with which this can be done, mostly one of the latest, or none."""
        streams = [stream for stream in self.all_streams() if able(stream)]
        return [streams[-1 - pick % min(len(streams), 3 if pick % 4 else 1 << 16)]] if streams else []


class TightSession(Store):
    limits = Limits(session_events=6, session_event_bytes=6 * EVENT_COST + 4000)
    roomy = False


class TightServer(Store):
    limits = Limits(max_event_bytes=10 * EVENT_COST + 4000)
    roomy = False


TestStoreWithRoom = Store.TestCase
TestStoreWithRoom.settings = settings(max_examples=60, stateful_step_count=50)
TestTightSession = TightSession.TestCase
TestTightSession.settings = settings(max_examples=60, stateful_step_count=50)
TestTightServer = TightServer.TestCase
TestTightServer.settings = settings(max_examples=60, stateful_step_count=50)
