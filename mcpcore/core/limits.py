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

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            least = 1 if name in _AT_LEAST_ONE else 0
            if not getattr(self, name) >= least:  # so that NaN is refused too
                raise UsageError(
                    f"Limits({name}={getattr(self, name)!r}): at least {least}; leave it out for the default"
                )
