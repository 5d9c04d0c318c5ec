"""Every limit of the runtime in one frozen class, each default with its reason. Sizes in bytes, times in seconds."""

from __future__ import annotations

import msgspec

from mcpcore.errors import UsageError

__all__ = ["Limits"]


_AT_LEAST_ONE = ("max_message_bytes", "max_batch", "max_in_flight", "turn_messages", "threads", "max_pages")
"""With none of these nothing would ever be served."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one connection, unless a member says otherwise. ``Limits(max_message_bytes=1 << 20)`` changes one.

    Raises ``UsageError`` for a number below zero, and for a zero with which nothing would ever be served.
    """

    max_message_bytes: int = 16 * 1024 * 1024
    """One message. A 10 MB image as base64 fits; an endless line does not eat the memory."""
    max_batch: int = 100
    """Messages in a 2025-03-26 batch."""
    max_in_flight: int = 1024
    """Requests being served at once; the next one is answered with the code ``OVERLOADED``."""
    turn_messages: int = 64
    """Messages served before other connections get their turn of the loop."""
    turn_seconds: float = 0.001
    """Inline work before other connections get their turn of the loop."""
    write_high_water: int = 1024 * 1024
    """Unsent bytes after which reading pauses, so a peer that does not read cannot make us buffer."""
    max_listen_streams: int = 64
    """Open ``subscriptions/listen`` requests."""
    max_subscribed_uris: int = 1024
    """Resource URIs subscribed to, all streams together."""
    answer_seconds: float = 600.0
    """Waiting for a client's answer to a question: a person may be thinking."""
    max_questions: int = 64
    """Questions asked of the client and not yet answered."""
    state_bytes: int = 256 * 1024
    """A sealed ``requestState``: it travels twice per round."""
    state_seconds: float = 900.0
    """Age of a ``requestState`` after which it is refused."""
    spent_states: int = 100_000
    """Remembered single-use states, for the whole server."""
    threads: int = 40
    """Worker threads for sync handlers, for the whole server."""
    waiting_threads: int = 100
    """Worker threads that wait for a client's answer, for the whole server; they are not counted in ``threads``."""
    drain_seconds: float = 0.6
    """From the end of input to the end of the conversation: handlers may finish until then. Clients wait about two
    seconds."""
    stderr_tail_bytes: int = 64 * 1024
    """What is kept of a child's stderr."""
    notification_queue: int = 4096
    """Notifications waiting for their callback in a client; the oldest give way, and the log says how many."""
    probe_seconds: float = 2.0
    """A client's wait for the answer to ``server/discover`` before it tries the handshake beside it: some legacy
    servers are silent about what they do not know, and a modern one may still be starting."""
    max_pages: int = 1000
    """Pages of one list that a client fetches by itself."""
    cached_results: int = 1024
    """Results that a client keeps for as long as the server allows."""
    cached_bytes: int = 32 * 1024 * 1024
    """The size of those results as JSON, all together."""
    max_relistens: int = 10
    """Attempts to open a stream of changes again, one after the other, before its reader hears of the failure."""
    relisten_seconds: float = 30.0
    """The longest pause between two of them; the first one is a tenth of a second, each next one twice as long."""
    unknown_methods_logged: int = 64
    """Distinct unknown notification methods that get their one line in the log."""

    # -- HTTP; "of the server" counts all connections together -----------------------------------------------------

    max_head_bytes: int = 32 * 1024
    """A request or response head. Bearer tokens of 8 KiB and a few cookies fit."""
    max_headers: int = 100
    """Header fields of one head."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its head: a slow-loris holds a connection no longer."""
    body_seconds: float = 30.0
    """In so long a request's body comes to its end, or gets on by 16 KiB: the slowest mobile networks carry that."""
    keep_alive_seconds: float = 75.0
    """An idle connection; longer than the 60 seconds after which common proxies drop theirs."""
    pipelined_bytes: int = 64 * 1024
    """Bytes read ahead while a request is served: enough to notice that its client went away."""
    max_connections: int = 10_000
    """Connections of the server; the next one is answered 503."""
    max_requests: int = 10_000
    """Requests being served, of the server; the next one is answered 503."""
    max_buffered_bytes: int = 256 * 1024 * 1024
    """Request bodies that are being received, of the server; the next one is answered 503."""
    max_streams: int = 10_000
    """Open event streams of the server; the next one is answered 503."""
    max_sessions: int = 10_000
    """Legacy sessions of the server; the one idle for longest gives way, and a new one is refused where none is."""
    session_seconds: float = 1800.0
    """A legacy session in which nothing runs, streams or comes."""
    session_events: int = 1024
    """Events kept for resumption, of one session; the oldest give way."""
    session_event_bytes: int = 17 * 1024 * 1024
    """The size of those events, and 512 bytes for each: a largest message that its client was not there for fits."""
    max_event_bytes: int = 64 * 1024 * 1024
    """The size of all events kept for resumption, of the server."""
    json_seconds: float = 10.0
    """A request that runs longer is answered by an event stream: its client and proxies see that it lives."""
    comment_seconds: float = 15.0
    """Silence on an event stream before a comment is sent: proxies cut idle ones after 30 to 60 seconds."""
    stream_bytes: int = 1024 * 1024
    """Unsent bytes of one event stream; a reader that leaves more is disconnected, and may resume."""
    stalled_seconds: float = 30.0
    """A reader that takes nothing of an answer for so long is disconnected."""
    http_drain_seconds: float = 1.5
    """From a stop signal to the end: requests being served may finish until then."""
    worker_pause_seconds: float = 30.0
    """The longest pause before a process that keeps dying gets a successor; the first one gets it at once, the next
    after a tenth of a second, each further one after twice as long. Who has lived so long counts as sound."""
    pool_connections: int = 100
    """A client's connections to one server; who comes next waits for a free one."""
    pool_waiting: int = 10_000
    """Messages of a client that wait for a connection, or for an answer to what has none; the next one fails."""
    pool_idle_seconds: float = 50.0
    """A client's idle connection: closed before servers close theirs, which avoids a race."""
    notice_seconds: float = 30.0
    """A client's wait until a notification, or an answer to a question, is accepted."""
    linger_seconds: float = 1.0
    """An event stream that goes on after the answer: its client ends it, since it occupies a connection."""
    endpoint_seconds: float = 5.0
    """From the GET to the ``endpoint`` event that tells an HTTP+SSE server from others."""
    retry_after_seconds: float = 60.0
    """The longest pause that a client makes because a busy server asks for it."""
    max_redirects: int = 5
    """Redirects of one request, to the same origin only."""
    max_resumes: int = 10
    """Attempts to resume one event stream, one after the other, without an event between them."""

    # -- WebSocket; a message is held to max_message_bytes, in fragments and inflated too ---------------------------

    ping_seconds: float = 20.0
    """Silence of the peer before it is pinged: proxies cut idle connections after 30 to 60 seconds."""
    pong_seconds: float = 20.0
    """From a ping to the next byte of the peer; who says nothing for so long is dead."""
    close_seconds: float = 2.0
    """From our close frame to the peer's, and to the end of the connection; then it is cut."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            least = 1 if name in _AT_LEAST_ONE else 0
            if not getattr(self, name) >= least:  # so that NaN is refused too
                raise UsageError(
                    f"Limits({name}={getattr(self, name)!r}): at least {least}; leave it out for the default"
                )
