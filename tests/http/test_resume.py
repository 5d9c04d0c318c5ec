"""The events of a session: handed over once and in order, resumed from any of them, never mixed, within bounds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http.resume import EVENT_COST, EventBudget, EventLog, Over, StreamLog


class Connection:
    """Takes what it is handed; with ``room`` only so much before it has to be drained."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.ids: list[str] = []
        self.frames: list[bytes] = []
        self.told: list[Over] = []

    def event(self, event_id: str, frame: bytes) -> bool:
        assert not self.told, "an event after the end"
        self.ids.append(event_id)
        self.frames.append(frame)
        self.room -= 1
        return self.room > 0

    def over(self, why: Over) -> None:
        self.told.append(why)


def log_of(session: str = "session", budget: EventBudget | None = None, /, **limits: int) -> EventLog:
    bounds = Limits(**limits)
    return EventLog(bounds, budget or EventBudget(bounds.max_event_bytes), session)


def connected(stream: StreamLog, room: int = 1_000_000) -> Connection:
    connection = Connection(room)
    stream.attach(connection)
    return connection


def resumed(log: EventLog, last_event_id: str, room: int = 1_000_000) -> Connection:
    resumption = log.after(last_event_id)
    assert resumption is not None
    connection = Connection(room)
    resumption.attach(connection)
    return connection


def frames(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def fill(stream: StreamLog, *numbers: int) -> list[str]:
    return [stream.append(frame) for frame in frames(*numbers)]


# -- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-11-25/transports/M22",
    "2025-06-18/transports/M20",
    "2025-03-26/transports/M22",
)
def test_no_two_events_of_a_session_have_the_same_id() -> None:
    log = log_of()
    streams = [log.standing, *(log.open_stream() for _ in range(40))]
    ids = [make() for stream in streams for make in (stream.prime, lambda s=stream: s.append(b""), stream.prime) * 40]
    assert len(set(ids)) == len(ids) == 41 * 3 * 40


@pytest.mark.spec("2025-11-25/transports/S15")
def test_an_id_leads_to_its_own_stream() -> None:
    log = log_of()
    streams = [log.standing, log.open_stream(), log.open_stream()]
    for stream in streams:
        connected(stream)
    primes = [stream.prime() for stream in streams]
    ids = [stream.append(b"") for stream in streams]
    for stream, prime, event_id in zip(streams, primes, ids, strict=True):
        for given in (prime, event_id):
            resumption = log.after(given)
            assert resumption is not None
            assert resumption.stream is stream


def test_ids_are_short_visible_and_need_no_quoting() -> None:
    stream = log_of().open_stream()
    for event_id in (stream.prime(), *fill(stream, *range(2000))):
        assert len(event_id) <= 16
        assert event_id.replace("-", "").isalnum()
        assert event_id.isascii()


def test_what_is_handed_over_carries_the_id_that_append_returned() -> None:
    stream = log_of().open_stream()
    connection = connected(stream)
    assert fill(stream, *range(100)) == connection.ids


@pytest.mark.parametrize(
    "mangle",
    [
        lambda given: "",
        lambda given: "-",
        lambda given: "--",
        lambda given: "1",
        lambda given: given.upper(),
        lambda given: f" {given}",
        lambda given: f"{given} ",
        lambda given: f"{given}\n",
        lambda given: f"{given}-",
        lambda given: f"{given}-0",
        lambda given: f"{given}-1",  # no priming event was made
        lambda given: f"{given}-1-1",
        lambda given: given.replace("-1-", "-01-"),
        lambda given: given.replace("-1-", "--"),
        lambda given: given.replace("-1-", "-+1-"),
        lambda given: given.replace("-1-", "-١-"),
        lambda given: given.replace("-1-", "-2-"),
        lambda given: given.replace("-1-", "-0-"),
        lambda given: given[:-1] + "0",
        lambda given: given[:-1] + "4",  # appended, but never handed over
        lambda given: given[:-1] + "5",
        lambda given: given[:-1] + "0" + given[-1],
        lambda given: given[1:],
        lambda given: given + "z" * 100_000,
        lambda given: "\ud800-1-1",
        lambda given: "x" + given,
    ],
)
def test_an_id_that_no_connection_was_given_cannot_be_resumed_from(mangle: Callable[[str], str]) -> None:
    log = log_of()
    stream = log.open_stream()
    connection = connected(stream)
    fill(stream, 1, 2, 3)
    stream.detach(connection)
    stream.append(b"4")
    given = connection.ids[-1]
    assert given.endswith("-1-3")
    assert log.after(mangle(given)) is None
    assert resumed(log, given).frames == [b"4"]


def test_an_id_of_another_session_is_unknown_even_where_the_streams_look_alike() -> None:
    budget = EventBudget(1 << 20)
    logs = [log_of(name, budget) for name in ("one", "two")]
    ids = []
    for log in logs:
        stream = log.open_stream()
        connected(stream)
        ids += [stream.prime(), *fill(stream, 1, 2)]
    for log, others in ((logs[0], ids[3:]), (logs[1], ids[:3])):
        assert [log.after(other) for other in others] == [None] * 3


def test_the_tag_of_an_id_does_not_show_the_session() -> None:
    session = "0123456789abcdef0123456789abcdef"
    tag = log_of(session).open_stream().prime().split("-")[0]
    assert tag not in session
    assert len(tag) <= 5


# -- one connection ----------------------------------------------------------------------------------------------------


def test_events_are_handed_over_as_they_come_and_the_end_after_the_last() -> None:
    stream = log_of().open_stream()
    connection = connected(stream)
    stream.append(b"1")
    assert (connection.frames, connection.told) == (frames(1), [])
    stream.append(b"2")
    stream.finish()
    assert (connection.frames, connection.told) == (frames(1, 2), ["finished"])
    assert not stream.attached


def test_what_was_appended_before_the_connection_came_is_handed_over_first() -> None:
    stream = log_of().open_stream()
    fill(stream, 1, 2)
    connection = connected(stream)
    stream.append(b"3")
    assert connection.frames == frames(1, 2, 3)


def test_nothing_follows_a_response() -> None:
    stream = log_of().open_stream()
    stream.finish()
    stream.finish()
    with pytest.raises(ValueError, match="nothing can follow its response"):
        stream.append(b"1")


def test_a_slow_connection_gets_the_next_event_when_it_asks_for_it() -> None:
    stream = log_of().open_stream()
    connection = connected(stream, room=1)
    fill(stream, 1, 2, 3, 4)
    stream.finish()
    assert (connection.frames, connection.told) == (frames(1), [])
    connection.room = 2
    stream.drained(connection)
    assert (connection.frames, connection.told) == (frames(1, 2, 3), [])
    stream.drained(connection)
    assert (connection.frames, connection.told) == (frames(1, 2, 3, 4), [])
    stream.drained(connection)
    assert (connection.frames, connection.told) == (frames(1, 2, 3, 4), ["finished"])


def test_a_slow_connection_delays_no_other_stream() -> None:
    log = log_of()
    slow, quick = log.open_stream(), log.open_stream()
    stalled, reading = connected(slow, room=1), connected(quick)
    for number in range(100):
        fill(slow, number)
        fill(quick, number)
    assert len(stalled.frames) == 1
    assert reading.frames == frames(*range(100))


def test_a_connection_may_leave_while_it_takes_an_event() -> None:
    stream = log_of().open_stream()

    class Leaving(Connection):
        def event(self, event_id: str, frame: bytes) -> bool:
            stream.detach(self)
            return super().event(event_id, frame)

    connection = Leaving()
    fill(stream, 1, 2)
    stream.attach(connection)
    stream.append(b"3")
    assert (connection.frames, connection.told) == (frames(1), [])
    assert connected(stream).frames == frames(2, 3)


def test_who_left_gets_nothing_more_and_can_disturb_nobody() -> None:
    stream = log_of().open_stream()
    first = connected(stream)
    stream.append(b"1")
    stream.detach(first)
    second = connected(stream)
    stream.detach(first)
    stream.drained(first)
    stream.append(b"2")
    assert (first.frames, second.frames) == (frames(1), frames(2))
    assert stream.attached


# -- the next connection -----------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/Y14", "2025-11-25/transports/Y04")
@pytest.mark.parametrize("whole", range(5))
@pytest.mark.parametrize("finished", [False, True])
def test_cut_after_any_event_each_event_comes_exactly_once_and_in_order(whole: int, finished: bool) -> None:
    log = log_of()
    stream = log.open_stream()
    prime = stream.prime()
    first = connected(stream)
    fill(stream, 1, 2, 3, 4)
    stream.detach(first)
    fill(stream, 5, 6)
    if finished:
        stream.finish()
    got, last = first.frames[:whole], [prime, *first.ids][whole]
    second = resumed(log, last)
    if not finished:
        fill(stream, 7)
        stream.finish()
    assert got + second.frames == frames(1, 2, 3, 4, 5, 6, *([] if finished else [7]))
    assert second.told == ["finished"]


def test_replayed_events_keep_their_ids() -> None:
    log = log_of()
    stream = log.open_stream()
    first = connected(stream)
    fill(stream, 1, 2, 3)
    assert resumed(log, first.ids[0]).ids == first.ids[1:]


@pytest.mark.spec("2025-11-25/transports/M23", "2025-06-18/transports/M21", "2025-03-26/transports/M23")
def test_only_the_stream_of_the_id_is_replayed() -> None:
    log = log_of()
    streams = [log.standing, log.open_stream(), log.open_stream()]
    connections = [connected(stream) for stream in streams]
    for number, stream in itertools.product(range(5), streams):
        stream.append(b"%s:%d" % (stream.key.encode(), number))
    for stream, connection in zip(streams, connections, strict=True):
        replayed = resumed(log, connection.ids[1]).frames
        assert replayed == [b"%s:%d" % (stream.key.encode(), number) for number in (2, 3, 4)]


def test_a_new_connection_replaces_the_old_one_which_is_told() -> None:
    log = log_of()
    stream = log.open_stream()
    first = connected(stream)
    fill(stream, 1, 2)
    second = resumed(log, first.ids[0])
    stream.append(b"3")
    assert (first.frames, first.told) == (frames(1, 2), ["replaced"])
    assert (second.frames, second.told) == (frames(2, 3), [])


def test_no_gap_and_no_repetition_between_replay_and_what_comes_meanwhile() -> None:
    log = log_of()
    stream = log.open_stream()
    first = connected(stream)
    fill(stream, 1, 2, 3, 4)
    second = resumed(log, first.ids[0], room=1)
    fill(stream, 5, 6)
    for _ in range(3):
        second.room = 1
        stream.drained(second)
    second.room = 100
    stream.drained(second)
    stream.append(b"7")
    assert second.frames == frames(2, 3, 4, 5, 6, 7)


def test_a_priming_id_resumes_from_where_its_connection_began() -> None:
    log = log_of()
    stream = log.open_stream()
    primes = [stream.prime()]
    first = connected(stream)
    stream.detach(first)
    fill(stream, 1, 2)
    second = resumed(log, primes[0], room=1)
    primes.append(stream.prime())
    assert second.frames == frames(1)
    assert resumed(log, primes[1]).frames == frames(2)
    assert log.after(primes[0]) is None, "the client has told since that it has the first event"


def test_a_position_can_be_resumed_from_again_until_the_client_tells_a_later_one() -> None:
    log = log_of()
    stream = log.open_stream()
    first = connected(stream)
    ids = fill(stream, 1, 2, 3)
    assert first.frames == frames(1, 2, 3)
    for _ in range(3):
        assert resumed(log, ids[0]).frames == frames(2, 3)
    assert resumed(log, ids[1]).frames == frames(3)
    assert log.after(ids[0]) is None
    assert log.events == 1


def test_who_is_replaced_by_a_client_that_is_further_is_replaced_and_not_lost() -> None:
    log = log_of()
    stream = log.open_stream()
    connected(stream)
    ids = fill(stream, 1, 2, 3)
    slow = resumed(log, ids[0], room=1)
    assert (slow.frames, slow.told) == (frames(2), [])
    assert resumed(log, ids[2]).frames == []
    assert slow.told == ["replaced"]


def test_a_slow_replay_that_broke_takes_nothing_back() -> None:
    log = log_of()
    connected(log.standing)
    ids = fill(log.standing, 1, 2, 3)
    slow = resumed(log, ids[0], room=1)
    log.standing.detach(slow)
    assert connected(log.standing).frames == []
    assert log.after(ids[2]) is not None


def test_asking_alone_hands_nothing_over_and_replaces_nobody() -> None:
    log = log_of()
    stream = log.open_stream()
    first = connected(stream)
    ids = fill(stream, 1, 2, 3)
    resumption = log.after(ids[0])
    assert resumption is not None
    assert (resumption.stream, resumption.left, resumption.finished) == (stream, 2, False)
    stream.append(b"4")
    assert (first.frames, first.told, resumption.left) == (frames(1, 2, 3, 4), [], 3)


def test_who_has_everything_is_told_so_and_the_stream_is_forgotten() -> None:
    log = log_of()
    stream = log.open_stream()
    connected(stream)
    last = fill(stream, 1, 2)[-1]
    stream.finish()
    assert log.events == 2, "that it was handed over does not prove that it arrived"
    resumption = log.after(last)
    assert resumption is not None
    assert (resumption.left, resumption.finished) == (0, True)
    connection = Connection()
    resumption.attach(connection)
    assert (connection.frames, connection.told) == ([], ["finished"])
    assert (log.events, log.size) == (0, 0)
    assert log.after(last) is None


def test_a_resumption_whose_events_give_way_before_it_is_taken_up_ends_instead_of_leaving_a_gap() -> None:
    log = log_of(session_events=3)
    stream = log.open_stream()
    first = connected(stream)
    ids = fill(stream, 1, 2, 3)
    resumption = log.after(ids[0])
    assert resumption is not None
    stream.detach(first)
    fill(stream, 4, 5)
    second = Connection()
    resumption.attach(second)
    assert (second.frames, second.told) == ([], ["lost"])


# -- the standing stream -----------------------------------------------------------------------------------------------


def test_a_session_has_one_standing_stream() -> None:
    log = log_of()
    assert log.standing is log.standing
    assert log.standing is not log.open_stream()


def test_messages_wait_for_the_first_get_and_then_for_the_next() -> None:
    log = log_of()
    fill(log.standing, 1, 2)
    first = connected(log.standing)
    fill(log.standing, 3)
    log.standing.detach(first)
    fill(log.standing, 4, 5)
    second = connected(log.standing)
    fill(log.standing, 6)
    assert (first.frames, second.frames) == (frames(1, 2, 3), frames(4, 5, 6))


def test_a_get_that_names_no_id_gets_nothing_twice_but_one_that_does_gets_what_was_lost() -> None:
    log = log_of()
    first = connected(log.standing)
    fill(log.standing, 1, 2, 3)
    fresh = connected(log.standing)
    assert (first.told, fresh.frames) == (["replaced"], [])
    assert resumed(log, first.ids[0]).frames == frames(2, 3)
    assert fresh.told == ["replaced"]


def test_a_get_cut_right_after_its_priming_event_gets_what_was_waiting() -> None:
    log = log_of()
    fill(log.standing, 1, 2)
    prime = log.standing.prime()
    log.standing.detach(connected(log.standing))
    assert resumed(log, prime).frames == frames(1, 2)


def test_of_the_waiting_messages_the_oldest_give_way() -> None:
    log = log_of(session_events=3)
    fill(log.standing, 1, 2, 3, 4, 5)
    prime = log.standing.prime()
    assert connected(log.standing).frames == frames(3, 4, 5)
    assert resumed(log, prime).frames == frames(3, 4, 5)


def test_the_standing_stream_hides_no_gap_from_who_resumes() -> None:
    log = log_of(session_events=3)
    first = connected(log.standing)
    last = log.standing.append(b"0")
    log.standing.detach(first)
    fill(log.standing, 1, 2, 3, 4)
    assert log.after(last) is None
    assert connected(log.standing).frames == frames(2, 3, 4)


# -- bounds ------------------------------------------------------------------------------------------------------------


def sized(stream: StreamLog, count: int, size: int = EVENT_COST) -> list[str]:
    return [stream.append(b"x" * (size - EVENT_COST)) for _ in range(count)]


@pytest.mark.parametrize(
    "bounds", [{"session_events": 4}, {"session_event_bytes": 4 * EVENT_COST}, {"max_event_bytes": 4 * EVENT_COST}]
)
def test_at_each_bound_the_oldest_events_give_way_and_their_ids_are_refused(bounds: dict[str, int]) -> None:
    log = log_of(**bounds)
    stream = log.open_stream()
    connection = connected(stream)
    ids = sized(stream, 10)
    assert (log.events, log.size) == (4, 4 * EVENT_COST)
    assert connection.ids == ids
    assert log.after(ids[4]) is None
    assert resumed(log, ids[5]).ids == ids[6:]


@pytest.mark.parametrize(
    "bounds", [{"session_events": 0}, {"session_event_bytes": 100}, {"max_event_bytes": 0}, {"session_event_bytes": 0}]
)
def test_where_nothing_may_be_kept_events_are_handed_over_all_the_same(bounds: dict[str, int]) -> None:
    log = log_of(**bounds)
    stream = log.open_stream()
    connection = connected(stream)
    ids = fill(stream, 1, 2)
    assert (connection.frames, log.events, log.size) == (frames(1, 2), 0, 0)
    assert log.after(ids[0]) is None
    assert resumed(log, ids[1]).frames == []
    stream.detach(connection)


def test_an_event_larger_than_the_log_is_handed_over_and_costs_other_streams_nothing() -> None:
    log = log_of(session_event_bytes=10 * EVENT_COST)
    other, stream = log.open_stream(), log.open_stream()
    fill(other, 1, 2)
    connection = connected(stream)
    small, large, after = stream.append(b"1"), stream.append(b"x" * 11 * EVENT_COST), stream.append(b"3")
    assert len(connection.frames) == 3
    assert log.after(small) is None
    assert resumed(log, large).ids == [after]
    assert connected(other).frames == frames(1, 2)


def test_an_event_too_large_to_wait_ends_the_hope_of_its_stream_and_frees_the_rest() -> None:
    log = log_of(session_event_bytes=10 * EVENT_COST)
    stream = log.open_stream()
    prime, first = stream.prime(), connected(stream)
    stream.detach(first)
    fill(stream, 1)
    stream.append(b"x" * 11 * EVENT_COST)
    fill(stream, 3)
    stream.finish()
    assert log.after(prime) is None
    assert (log.events, log.size) == (0, 0)
    late = connected(stream)
    assert (late.frames, late.told) == ([], ["lost"])


def test_a_connection_too_slow_for_the_log_is_told_and_gets_no_gap() -> None:
    log = log_of(session_events=3)
    stream = log.open_stream()
    connection = connected(stream, room=2)
    ids = fill(stream, 1, 2, 3, 4, 5)
    assert connection.told == []
    stream.append(b"6")
    assert (connection.frames, connection.told) == (frames(1, 2), ["lost"])
    assert [log.after(event_id) for event_id in ids] == [None] * 5
    assert log.events == 0


def test_what_was_handed_over_gives_way_before_what_waits() -> None:
    log = log_of(session_events=4)
    waiting, noisy = log.open_stream(), log.open_stream()
    prime = waiting.prime()
    fill(waiting, 1, 2)
    connected(noisy)
    fill(noisy, *range(100))
    assert resumed(log, prime).frames == frames(1, 2)


def test_what_waited_and_was_then_handed_over_gives_way_before_what_waits() -> None:
    log = log_of(session_events=4)
    waiting, fetched = log.open_stream(), log.open_stream()
    prime = waiting.prime()
    fill(waiting, 1, 2)
    fill(fetched, 1, 2)
    connected(fetched)
    fill(log.standing, 3, 4)
    assert resumed(log, prime).frames == frames(1, 2)
    assert connected(log.standing).frames == frames(3, 4)


def test_what_a_slow_replay_has_yet_to_take_waits() -> None:
    log = log_of(session_events=4)
    stream, noisy = log.open_stream(), log.open_stream()
    connected(stream)
    ids = fill(stream, 1, 2, 3)
    slow = resumed(log, ids[0], room=1)
    connected(noisy)
    fill(noisy, *range(100))
    stream.drained(slow)
    assert (slow.frames, slow.told) == (frames(2, 3), [])


def test_a_stream_that_lost_what_nobody_got_keeps_nothing_more() -> None:
    log = log_of(session_events=4)
    stream = log.open_stream()
    fill(stream, 1, 2, 3)
    fill(log.standing, 1, 2)
    assert log.events == 2
    fill(stream, 4, 5)
    assert log.events == 2


def test_a_finished_stream_that_was_handed_over_gives_way_before_what_waits() -> None:
    log = log_of(session_events=4)
    waiting = log.open_stream()
    prime = waiting.prime()
    fill(waiting, 1, 2)
    for number in range(10):
        answered = log.open_stream()
        connected(answered)
        fill(answered, number)
        answered.finish()
    assert resumed(log, prime).frames == frames(1, 2)
    assert log.events == 4


def test_what_a_broken_connection_was_handed_waits_for_its_client() -> None:
    log = log_of(session_events=4)
    broken, noisy = log.open_stream(), log.open_stream()
    connection = connected(broken)
    ids = fill(broken, 1, 2, 3)
    broken.detach(connection)
    connected(noisy)
    fill(noisy, *range(100))
    assert resumed(log, ids[0]).frames == frames(2, 3)


def test_ten_thousand_streams_of_one_session_leave_no_more_than_the_bound() -> None:
    log = log_of(session_events=100)
    for number in range(10_000):
        stream = log.open_stream()
        stream.prime()
        if number % 3:
            connected(stream)
        fill(stream, number)
        stream.finish()
    assert log.events == 100
    assert len(log._streams) == 100


def test_streams_that_end_without_an_event_leave_nothing() -> None:
    log = log_of()
    for _ in range(100):
        stream = log.open_stream()
        connection = connected(stream)
        stream.prime()
        stream.finish()
        assert connection.told == ["finished"]
    assert len(log._streams) == 0


# -- the budget of the server ------------------------------------------------------------------------------------------


def test_the_budget_holds_for_all_logs_together() -> None:
    budget = EventBudget(10 * EVENT_COST)
    logs = [log_of(f"session {number}", budget) for number in range(25)]
    for log in logs:
        sized(log.open_stream(), 2)
    assert budget.used == sum(log.size for log in logs) == 10 * EVENT_COST
    assert [log.events for log in logs] == [0] * 20 + [2] * 5, "the quietest gave way"


def test_a_session_is_quiet_since_its_latest_event() -> None:
    budget = EventBudget(4 * EVENT_COST)
    first, second, third = (log_of(name, budget) for name in ("one", "two", "three"))
    for log in (first, second, first, third, third):
        sized(log.standing, 1)
    assert [log.events for log in (first, second, third)] == [2, 0, 2]


def test_a_noisy_session_pays_for_itself() -> None:
    budget = EventBudget(20 * EVENT_COST)
    quiet = [log_of(f"quiet {number}", budget) for number in range(5)]
    for log in quiet:
        sized(log.open_stream(), 2)
    noisy = log_of("noisy", budget)
    sized(noisy.open_stream(), 1)
    waiting = noisy.open_stream()
    sized(waiting, 1000)
    assert [log.events for log in quiet] == [2] * 5
    assert budget.used <= budget.limit


def test_what_was_handed_over_in_any_session_gives_way_before_what_waits_in_another() -> None:
    budget = EventBudget(20 * EVENT_COST)
    patient = log_of("patient", budget)
    stream = patient.open_stream()
    prime = stream.prime()
    fill(stream, 1, 2)
    for number in range(100):
        log = log_of(f"session {number}", budget)
        answered = log.open_stream()
        connected(answered)
        fill(answered, 1)
        answered.finish()
    assert budget.used <= budget.limit
    assert resumed(patient, prime).frames == frames(1, 2)


def test_a_session_that_ends_gives_back_what_it_used_and_tells_its_connections() -> None:
    budget = EventBudget(1 << 20)
    log, other = log_of("one", budget), log_of("two", budget)
    connections = [connected(log.standing), connected(log.open_stream(), room=1)]
    stream = log.open_stream()
    ids = fill(stream, *range(10))
    fill(other.open_stream(), 1)
    log.close()
    log.close()
    assert [connection.told for connection in connections] == [["closed"], ["closed"]]
    assert budget.used == other.size > 0
    assert (log.events, log.size) == (0, 0)
    assert [log.after(event_id) for event_id in ids] == [None] * 10


def test_a_request_that_outlives_its_session_writes_into_nothing() -> None:
    budget = EventBudget(1 << 20)
    log = log_of("one", budget)
    stream = log.open_stream()
    log.close()
    stream.append(b"1")
    late = connected(stream)
    stream.finish()
    later = connected(log.open_stream())
    assert (late.told, later.told, late.frames) == (["closed"], ["closed"], [])
    assert budget.used == 0


def test_a_session_may_end_while_room_is_made_for_its_event() -> None:
    budget = EventBudget(1 << 20)
    log = log_of("one", budget, session_events=3)
    slow, quick = log.open_stream(), log.open_stream()

    class Ending(Connection):
        def over(self, why: Over) -> None:
            super().over(why)
            log.close()

    stalled, reading = Ending(room=1), connected(quick)
    slow.attach(stalled)
    fill(slow, 1, 2, 3, 4)
    fill(quick, 1, 2)
    fill(slow, 5, 6)
    assert stalled.told == ["lost"]
    assert (reading.told, reading.frames) == (["closed"], [])
    assert (log.events, budget.used) == (0, 0)


# -- cost --------------------------------------------------------------------------------------------------------------


def test_an_event_costs_the_same_whether_the_log_is_empty_or_full() -> None:
    log = log_of(session_events=100_000, session_event_bytes=1 << 30, max_event_bytes=1 << 30)
    streams = [log.open_stream() for _ in range(1000)]
    began = time.perf_counter()
    for number in range(200_000):
        streams[number % 1000].append(b"x")
    assert log.events <= 100_000
    assert time.perf_counter() - began < 10.0  # some 300 ms; a look at every stream for each event would take minutes
