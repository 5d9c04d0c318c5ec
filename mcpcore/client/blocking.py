"""The client without await: ``with SyncClient("python server.py") as client: client.call_tool(...)``.

It owns one thread with an event loop, in which an ordinary ``Client`` lives; each method hands its work over and waits.
The user's callbacks run in threads of their own, so they may block, and may use the client.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from mcpcore.client.app import Client, ClientOptions
from mcpcore.client.callbacks import in_thread
from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from mcpcore.client.events import Events
    from mcpcore.client.listen import Event
    from mcpcore.client.requests import OnProgress
    from mcpcore.client.rounds import Step
    from mcpcore.client.timeouts import Timeout
    from mcpcore.transports.opening import Verdict
    from mcpcore.types import (
        Completion,
        GetPromptResult,
        Implementation,
        ListPromptsResult,
        ListResourcesResult,
        ListResourceTemplatesResult,
        ListToolsResult,
        Prompt,
        PromptRef,
        ReadResourceResult,
        Resource,
        ResourceTemplate,
        ServerCapabilities,
        SubscriptionFilter,
        TemplateRef,
        Tool,
        ToolResult,
    )

__all__ = ["SyncClient", "SyncEvents"]

T = TypeVar("T")


class _LoopThread:
    """An event loop that runs in a daemon thread until ``stop``."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self.loop,), name="mcpcore-sync-client", daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns or raises. An interrupt (Ctrl-C) cancels it, so the server hears of it, too."""
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError("this is the loop of the SyncClient itself: await nothing here, or give it sync callbacks")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def forget(self) -> None:
        """Stop without waiting."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class SyncClient:
    """``Client``, blocking: the same arguments, the same methods, the same errors.

    From any thread, also from several at once, and where an event loop runs in another thread (or in this one: then
    that loop stands still meanwhile). Ctrl-C cancels what is waited for. Not after ``fork``.
    """

    def __init__(self, target: Any, **options: Unpack[ClientOptions]) -> None:
        options["log"] = _threaded(options.get("log"))
        options["progress"] = _threaded(options.get("progress"))
        notifications = options.get("notifications")
        if isinstance(notifications, Mapping):
            threaded = {method: _threaded(function) for method, function in notifications.items()}
            options["notifications"] = threaded  # type: ignore[typeddict-item]
        self._client = Client(target, **options)
        self._thread: _LoopThread | None = None
        self._starting = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client._link.target_name}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        thread = getattr(self, "_thread", None)
        if thread is not None:
            _warn(f"{self!r} was never closed; its connection is ended now", ResourceWarning, source=self)
            self._client._link.abandon()
            thread.forget()

    def __enter__(self) -> SyncClient:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> SyncClient:
        """See ``Client.connect``."""
        with self._starting:
            begun = self._thread is None
            thread = self._thread = self._thread or _LoopThread()
        try:
            thread.wait(self._client.connect())
        except BaseException:
            if begun:
                self.close()
            raise
        return self

    def close(self) -> None:
        """See ``Client.close``. The thread ends as well."""
        thread = self._thread
        if thread is not None:
            try:
                thread.wait(self._client.close())
            finally:
                self._stop()

    def _stop(self) -> None:
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._client._link.abandon()
            thread.stop()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        thread = self._thread
        if thread is None:
            work.close()
            raise UsageError("this client is not connected: use `with` or connect() first")
        return thread.wait(work)

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> str:
        """See ``Client.revision``."""
        return self._client.revision

    @property
    def verdict(self) -> Verdict | None:
        """See ``Client.verdict``."""
        return self._client.verdict

    @property
    def server_info(self) -> Implementation | None:
        """See ``Client.server_info``."""
        return self._client.server_info

    @property
    def server_capabilities(self) -> ServerCapabilities:
        """See ``Client.server_capabilities``."""
        return self._client.server_capabilities

    @property
    def instructions(self) -> str | None:
        """See ``Client.instructions``."""
        return self._client.instructions

    # -- requests ------------------------------------------------------------------------------------------------------

    def list_tools(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Tool]:
        """See ``Client.list_tools``."""
        return self._wait(self._client.list_tools(refresh=refresh, timeout=timeout))

    def list_resources(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Resource]:
        """See ``Client.list_resources``."""
        return self._wait(self._client.list_resources(refresh=refresh, timeout=timeout))

    def list_resource_templates(self, *, refresh: bool = False, timeout: Timeout = None) -> list[ResourceTemplate]:
        """See ``Client.list_resource_templates``."""
        return self._wait(self._client.list_resource_templates(refresh=refresh, timeout=timeout))

    def list_prompts(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Prompt]:
        """See ``Client.list_prompts``."""
        return self._wait(self._client.list_prompts(refresh=refresh, timeout=timeout))

    def list_tools_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListToolsResult:
        """See ``Client.list_tools_page``."""
        return self._wait(self._client.list_tools_page(cursor, refresh=refresh, timeout=timeout))

    def list_resources_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListResourcesResult:
        """See ``Client.list_resources_page``."""
        return self._wait(self._client.list_resources_page(cursor, refresh=refresh, timeout=timeout))

    def list_resource_templates_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListResourceTemplatesResult:
        """See ``Client.list_resource_templates_page``."""
        return self._wait(self._client.list_resource_templates_page(cursor, refresh=refresh, timeout=timeout))

    def list_prompts_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListPromptsResult:
        """See ``Client.list_prompts_page``."""
        return self._wait(self._client.list_prompts_page(cursor, refresh=refresh, timeout=timeout))

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        type: Any = None,
    ) -> ToolResult:
        """See ``Client.call_tool``."""
        call = self._client.call_tool(
            name, arguments, timeout=timeout, progress=_threaded(progress), meta=meta, headers=headers, type=type
        )
        return self._wait(call)

    def read_resource(
        self,
        uri: str,
        *,
        refresh: bool = False,
        timeout: Timeout = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ReadResourceResult:
        """See ``Client.read_resource``."""
        read = self._client.read_resource(uri, refresh=refresh, timeout=timeout, meta=meta, headers=headers)
        return self._wait(read)

    def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: Timeout = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> GetPromptResult:
        """See ``Client.get_prompt``."""
        return self._wait(self._client.get_prompt(name, arguments, timeout=timeout, meta=meta, headers=headers))

    def complete(
        self,
        ref: PromptRef | TemplateRef,
        argument: str,
        value: str,
        context: Mapping[str, str] | None = None,
        *,
        timeout: Timeout = None,
    ) -> Completion:
        """See ``Client.complete``."""
        return self._wait(self._client.complete(ref, argument, value, context, timeout=timeout))

    def begin_call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> ToolResult | Step:
        """See ``Client.begin_call``."""
        on = _threaded(progress)
        return self._wait(self._client.begin_call(name, arguments, timeout=timeout, progress=on, meta=meta, type=type))

    def begin_get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: Timeout = None
    ) -> GetPromptResult | Step:
        """See ``Client.begin_get_prompt``."""
        return self._wait(self._client.begin_get_prompt(name, arguments, timeout=timeout))

    def begin_read(self, uri: str, *, timeout: Timeout = None) -> ReadResourceResult | Step:
        """See ``Client.begin_read``."""
        return self._wait(self._client.begin_read(uri, timeout=timeout))

    def resume(
        self,
        step: Step,
        answers: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> ToolResult | GetPromptResult | ReadResourceResult | Step:
        """See ``Client.resume``."""
        on = _threaded(progress)
        return self._wait(self._client.resume(step, answers, timeout=timeout, progress=on, meta=meta, type=type))

    # -- listening, settings, raw messages -----------------------------------------------------------------------------

    def listen(
        self, *, tools: bool = False, prompts: bool = False, resources: bool = False, uris: Iterable[str] = ()
    ) -> SyncEvents:
        """See ``Client.listen``: ``with client.listen(tools=True) as events: for event in events``."""
        return SyncEvents(self, self._client.listen(tools=tools, prompts=prompts, resources=resources, uris=uris))

    def subscribe(self, uri: str) -> None:
        """See ``Client.subscribe``."""
        self._wait(self._client.subscribe(uri))

    def unsubscribe(self, uri: str) -> None:
        """See ``Client.unsubscribe``."""
        self._wait(self._client.unsubscribe(uri))

    def set_log_level(self, level: str) -> None:
        """See ``Client.set_log_level``."""
        self._wait(self._client.set_log_level(level))

    def notify_roots_changed(self) -> None:
        """See ``Client.notify_roots_changed``."""
        self._wait(self._client.notify_roots_changed())

    def ping(self, *, timeout: Timeout = None) -> None:
        """See ``Client.ping``."""
        self._wait(self._client.ping(timeout=timeout))

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """See ``Client.request``."""
        on = _threaded(progress)
        return self._wait(self._client.request(method, params, timeout=timeout, progress=on, headers=headers))

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """See ``Client.notify``."""
        self._wait(self._client.notify(method, params))


class SyncEvents:
    """See ``Events``: a context manager and an iterator, blocking."""

    def __init__(self, client: SyncClient, events: Events) -> None:
        self._client = client
        self._events = events

    @property
    def honoured(self) -> SubscriptionFilter:
        """See ``Events.honoured``."""
        return self._events.honoured

    def __enter__(self) -> SyncEvents:
        self._client._wait(self._events.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client._thread is not None:
            self._client._wait(self._events.__aexit__(kind, error, trace))

    def __iter__(self) -> SyncEvents:
        return self

    def __next__(self) -> Event:
        event = self._client._wait(_next(self._events))
        if event is None:
            raise StopIteration
        return event


async def _next(events: Events) -> Event | None:
    """A coroutine cannot raise ``StopAsyncIteration``."""
    async for event in events:
        return event
    return None


def _threaded(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """A callback that may block, as one that does not hold up the loop; an async one stays as it is."""
    if function is None or inspect.iscoroutinefunction(function):
        return function
    return functools.partial(in_thread, function)
