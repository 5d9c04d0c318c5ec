"""What a client does with the notifications of its server: progress, the cache, streams of events, the user's
callbacks.

Nothing here waits. The user's functions are called in the order of the messages, and a slow one holds up nothing but
those that come after it (``callbacks.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.client.callbacks import InOrder
from mcpcore.client.listen import Event, PromptsChanged, ResourcesChanged, ResourceUpdated, ToolsChanged
from mcpcore.errors import InvalidResult, UsageError
from mcpcore.spec.methods import NOTIFICATIONS
from mcpcore.types import LogMessage, from_wire

if TYPE_CHECKING:
    from mcpcore.client.cache import ResultCache
    from mcpcore.client.calls import Calls
    from mcpcore.client.checking import ToolBook
    from mcpcore.client.listen import Hearing
    from mcpcore.core.events import Notified
    from mcpcore.core.limits import Limits
    from mcpcore.transports.runner import Runner

__all__ = ["CHANGES", "Callbacks", "Notices"]

log = logging.getLogger("mcpcore.client")

CHANGES: Mapping[str, Event] = {
    "notifications/tools/list_changed": ToolsChanged(),
    "notifications/prompts/list_changed": PromptsChanged(),
    "notifications/resources/list_changed": ResourcesChanged(),
}
UPDATED = "notifications/resources/updated"
_TOPICS = {f"notifications/{topic}/list_changed": topic for topic in ("tools", "prompts", "resources")}


class Callbacks:
    """The user's functions by method; ``log`` gets a ``LogMessage``, all others the parameters as they came."""

    def __init__(self, log: Callable[..., Any] | None, notifications: Mapping[str, Callable[..., Any]] | None) -> None:
        self.log = log
        self.by_method = dict(notifications or {})
        for method, function in self.by_method.items():
            if not isinstance(method, str) or not callable(function):
                raise UsageError("notifications must map methods, like 'vendor/event', to functions")
        if self.log is not None and not callable(self.log):
            raise UsageError("log must be a function that takes a LogMessage")


class Notices:
    """The notifications of one connection. ``calls`` and ``hearing`` are there once the conversation stands."""

    calls: Calls | None = None
    hearing: Hearing | None = None

    def __init__(
        self, callbacks: Callbacks, limits: Limits, cache: ResultCache, tools: ToolBook, unknown: set[str]
    ) -> None:
        self._callbacks = callbacks
        self._limits = limits
        self._cache = cache
        self._tools = tools
        self._unknown = unknown
        self._queue = InOrder(limits.notification_queue)

    def received(self, runner: Runner, event: Notified) -> None:
        method, params = event.method, event.params
        if method == "notifications/progress":
            if self.calls is not None:
                self.calls.progressed(params)
        elif method == "notifications/message":
            self._logged(runner, params)
        elif method in _TOPICS:
            self._changed(method, params)
        elif method == UPDATED:
            self._updated(params)
        elif self.hearing is not None and method == "notifications/subscriptions/acknowledged":
            self.hearing.acknowledged(params)
        elif self.hearing is not None and method == "notifications/cancelled":
            self.hearing.cancelled(params)
        elif method in self._callbacks.by_method:
            self.tell(method, params)
        elif method not in NOTIFICATIONS:
            self._not_known(runner, method)

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Give a notification to the callback for its method, where there is one."""
        function = self._callbacks.by_method.get(method)
        if function is not None:
            self._queue.put(method, function, params)

    def forget(self) -> None:
        """Any change may have been missed: what was kept may be wrong."""
        self._cache.clear()
        self._tools.forget()

    def close(self) -> None:
        self._queue.close()

    def _logged(self, runner: Runner, params: dict[str, Any]) -> None:
        function = self._callbacks.log
        if function is None:
            self.tell("notifications/message", params)
            return
        try:
            message = from_wire(LogMessage, params)
        except InvalidResult as error:
            log.warning("%s: notifications/message was ignored: %s", runner.endpoint, error)
        else:
            self._queue.put("notifications/message", function, message)

    def _changed(self, method: str, params: dict[str, Any]) -> None:
        topic = _TOPICS[method]
        self._cache.forget_list(topic)
        if topic == "tools":
            self._tools.forget()
        if self.hearing is not None:
            self.hearing.heard(CHANGES[method], params)

    def _updated(self, params: dict[str, Any]) -> None:
        uri = params.get("uri")
        if type(uri) is str:
            self._cache.forget_resource(uri)
            if self.hearing is not None:
                self.hearing.heard(ResourceUpdated(uri), params)

    def _not_known(self, runner: Runner, method: str) -> None:
        """One line for each method, for a limited number of methods."""
        if method not in self._unknown and len(self._unknown) < self._limits.unknown_methods_logged:
            self._unknown.add(method)
            log.info(
                "%s: nobody here listens for %s; give the client notifications={...}", runner.endpoint, method[:200]
            )
