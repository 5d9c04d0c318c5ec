"""The session table: whose a session is, which one gives way, what keeps it alive, and that thousands cost little."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http.resume import Over, StreamLog
from mcpcore.http.sessions import Session, SessionsFull, SessionTable

HOUR = 3600.0


def numbered(width: int = 32) -> Callable[[], str]:
    count = itertools.count()
    return lambda: f"{next(count):0{width}x}"


def mint_of(ids: Iterable[str]) -> Callable[[], str]:
    given = iter(ids)
    return lambda: next(given)


def table_of(limits: Limits = Limits(), mint: Callable[[], str] | None = None) -> SessionTable:
    return SessionTable(limits, mint or numbered())


class Connection:
    def __init__(self) -> None:
        self.told: list[Over] = []

    def event(self, event_id: str, frame: bytes) -> bool:
        return True

    def over(self, why: Over) -> None:
        self.told.append(why)


# -- whose a session is ------------------------------------------------------------------------------------------------


def test_a_session_is_found_by_its_id_and_its_principal_and_was_used_then() -> None:
    table = table_of()
    session = table.open("alice", 1.0)
    assert table.find(session.id, "alice", 5.0) is session
    assert (session.created, session.used, session.principal) == (1.0, 5.0, "alice")


def test_the_session_of_another_principal_is_as_unknown_as_one_that_never_was() -> None:
    table = table_of()
    session = table.open("alice", 1.0)
    assert table.find(session.id, "bob", 5.0) is None
    assert table.find("never", "bob", 5.0) is None
    assert session.used == 1.0


def test_asking_for_sessions_that_do_not_exist_keeps_nothing() -> None:
    table = table_of()
    for number in range(10_000):
        assert table.find(f"unknown-{number}", "alice", 0.0) is None
    assert len(table) == 0


def test_a_session_does_not_print_its_id() -> None:
    session = table_of(mint=lambda: "secret-of-alice").open("alice", 0.0)
    assert "secret" not in repr(session)


# -- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/M24", "2025-06-18/transports/M22", "2025-03-26/transports/M24")
@pytest.mark.parametrize("bad", ["", "two words", "tab\t", "line\n", "del\x7f", "nul\x00", "é", "\u2028", "\ud800"])
def test_an_id_that_is_not_visible_ascii_is_refused_and_opens_nothing(bad: str) -> None:
    table = table_of(mint=lambda: bad)
    with pytest.raises(ValueError, match="visible ASCII"):
        table.open("alice", 0.0)
    assert len(table) == 0


@pytest.mark.spec("2025-11-25/transports/M24")
def test_every_visible_ascii_character_may_stand_in_an_id() -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    table = table_of(mint=lambda: visible)
    assert table.open("alice", 0.0).id == visible


def test_an_id_in_use_is_minted_again() -> None:
    table = table_of(mint=mint_of(["one", "one", "one", "two"]))
    assert table.open("alice", 0.0).id == "one"
    assert table.open("bob", 0.0).id == "two"


def test_a_mint_that_only_repeats_itself_is_given_up_on() -> None:
    table = table_of(mint=lambda: "one")
    first = table.open("alice", 0.0)
    with pytest.raises(ValueError, match="in a row that are in use"):
        table.open("bob", 0.0)
    assert table.find("one", "alice", 1.0) is first


# -- room --------------------------------------------------------------------------------------------------------------


def test_where_there_is_no_room_the_session_idle_for_longest_gives_way() -> None:
    table = table_of(Limits(max_sessions=3))
    one, two, three = (table.open("alice", float(now)) for now in range(3))
    table.find(one.id, "alice", 3.0)
    four = table.open("alice", 4.0)
    assert [session.closed for session in (one, two, three, four)] == [False, True, False, False]
    assert table.find(two.id, "alice", 5.0) is None
    assert len(table) == 3


def test_a_session_that_serves_or_streams_does_not_give_way() -> None:
    table = table_of(Limits(max_sessions=3))
    one, two, three = (table.open("alice", float(now)) for now in range(3))
    table.request_began(one)
    table.stream_opened(two)
    table.open("alice", 4.0)
    assert [session.closed for session in (one, two, three)] == [False, False, True]


def test_where_no_session_is_idle_a_new_one_is_refused_until_one_is() -> None:
    table = table_of(Limits(max_sessions=2))
    one, two = table.open("alice", 0.0), table.open("alice", 1.0)
    table.request_began(one)
    table.stream_opened(two)
    with pytest.raises(SessionsFull, match="all 2 sessions are in use"):
        table.open("bob", 2.0)
    table.stream_closed(two, 3.0)
    assert table.find(table.open("bob", 4.0).id, "bob", 4.0)
    assert (one.closed, two.closed) == (False, True)


def test_a_refused_opening_ends_nobody() -> None:
    table = table_of(Limits(max_sessions=1), mint_of(["one", ""]))
    one = table.open("alice", 0.0)
    with pytest.raises(ValueError, match="visible ASCII"):
        table.open("bob", 1.0)
    assert not one.closed


def test_with_room_for_no_session_every_opening_is_refused() -> None:
    with pytest.raises(SessionsFull):
        table_of(Limits(max_sessions=0)).open("alice", 0.0)


# -- time --------------------------------------------------------------------------------------------------------------


def test_sessions_that_nobody_uses_expire_and_are_returned() -> None:
    table = table_of(Limits(session_seconds=100.0))
    one, two, three = (table.open("alice", now) for now in (0.0, 10.0, 20.0))
    table.find(one.id, "alice", 50.0)
    assert table.expire(109.0) == []
    assert table.expire(110.0) == [two]
    assert table.expire(150.0) == [three, one]
    assert len(table) == 0


@pytest.mark.parametrize("began", [SessionTable.request_began, SessionTable.stream_opened])
def test_a_running_request_or_an_open_stream_keeps_its_session_alive(
    began: Callable[[SessionTable, Session], None],
) -> None:
    table = table_of(Limits(session_seconds=1.0))
    session = table.open("alice", 0.0)
    began(table, session)
    assert table.expire(HOUR) == []
    assert table.find(session.id, "alice", HOUR) is session
    assert table.expire(2 * HOUR) == []


def test_idleness_begins_when_the_last_request_and_the_last_stream_are_over() -> None:
    table = table_of(Limits(session_seconds=100.0))
    session = table.open("alice", 0.0)
    table.request_began(session)
    table.stream_opened(session)
    table.stream_opened(session)
    table.stream_closed(session, 1000.0)
    table.request_ended(session, 2000.0)
    assert session.busy
    assert table.expire(HOUR) == []
    table.stream_closed(session, HOUR)
    assert not session.busy
    assert table.expire(HOUR + 99) == []
    assert table.expire(HOUR + 100) == [session]


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/Y16")
@pytest.mark.parametrize("how", ["end", "expire", "close_all", "give way"])
def test_a_session_that_ends_tells_who_serves_it_and_its_streams_once_and_is_unknown(how: str) -> None:
    table = table_of(Limits(max_sessions=1))
    session, connection, ends = table.open("alice", 0.0), Connection(), []
    session.ended = lambda: ends.append(session.closed)
    session.events.open_stream().attach(connection)
    if how == "end":
        table.end(session)
    elif how == "expire":
        table.expire(HOUR)
    elif how == "close_all":
        table.close_all()
    else:
        table.open("bob", 1.0)
    table.end(session)
    assert ends == [True]
    assert connection.told == ["closed"]
    assert table.find(session.id, "alice", 1.0) is None


def test_what_still_ran_in_an_ended_session_ends_without_bringing_it_back() -> None:
    table = table_of()
    session = table.open("alice", 0.0)
    table.request_began(session)
    table.stream_opened(session)
    session.ended = lambda: table.request_ended(session, 1.0)
    table.end(session)
    table.stream_closed(session, 2.0)
    assert (session.running, session.streams) == (0, 0)
    assert len(table) == 0
    assert table.expire(HOUR) == []


def test_an_id_is_free_again_after_its_session_ended() -> None:
    table = table_of(mint=lambda: "one")
    table.end(table.open("alice", 0.0))
    again = table.open("bob", 1.0)
    assert table.find("one", "alice", 2.0) is None
    assert table.find("one", "bob", 2.0) is again


# -- thousands ---------------------------------------------------------------------------------------------------------


def abandoned_stream(session: Session) -> StreamLog:
    stream = session.events.open_stream()
    stream.append(b"x" * 1000)
    stream.finish()
    return stream


def test_ten_thousand_abandoned_sessions_stay_under_the_cap_and_the_memory_bounds() -> None:
    limits = Limits(max_sessions=500, max_event_bytes=1024 * 1024)
    table = table_of(limits)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(10_000):
            abandoned_stream(table.open("alice", float(number)))
            assert table.events.used <= limits.max_event_bytes
        after, _ = tracemalloc.get_traced_memory()
        assert len(table) == 500
        assert after - before < limits.max_event_bytes + 500 * 2048
        assert len(table.expire(1e9)) == 500
        empty, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 0
    assert table.events.used == 0
    assert empty - before < 256 * 1024  # the tables keep their size, not their entries


def test_the_ten_thousand_sessions_of_the_default_limits_take_a_kilobyte_each() -> None:
    table = table_of()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(12_000):
            table.open("alice", float(number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == Limits().max_sessions
    assert after - before < 20 * 1024 * 1024


def test_ten_thousand_sessions_are_opened_used_and_ended_in_a_moment() -> None:
    table = table_of(Limits(max_sessions=5_000))
    began = time.perf_counter()
    opened = [table.open("alice", float(number)) for number in range(10_000)]
    for session in reversed(opened):
        table.find(session.id, "alice", 10_000.0)
    assert len(table.expire(1e9)) == 5_000
    assert time.perf_counter() - began < 2.0  # some 60 ms; a second glance at every session would take minutes


def test_a_tick_and_a_refusal_cost_the_same_however_many_sessions_are_busy() -> None:
    table = table_of(Limits(max_sessions=10_000))
    for _ in range(10_000):
        table.request_began(table.open("alice", 0.0))
    began = time.perf_counter()
    for _ in range(1_000):
        assert table.expire(HOUR) == []
        with pytest.raises(SessionsFull):
            table.open("bob", HOUR)
    assert time.perf_counter() - began < 2.0  # some 10 ms; looking at each session would take minutes
