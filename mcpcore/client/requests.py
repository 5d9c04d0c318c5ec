"""What a client can ask of a server: lists, calls, reads, prompts, completion. Typed in, typed out, the same in every
era.

Connecting and listening are elsewhere: ``app.py`` puts them together. Pages, caching and rounds of questions happen
here without being asked for; each has a way to be done by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mcpcore.client.calls import subject
from mcpcore.client.rounds import Rounds, Step
from mcpcore.client.timeouts import Timeout
from mcpcore.errors import InvalidResult, ProtocolViolation, RpcError, UsageError
from mcpcore.spec import codes
from mcpcore.spec.header_params import header_params
from mcpcore.spec.members import sieve
from mcpcore.spec.revisions import BY_NAME
from mcpcore.types import (
    CompleteResult,
    Completion,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    Progress,
    Prompt,
    PromptRef,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TemplateRef,
    Tool,
    ToolResult,
    from_wire,
    to_wire,
)

if TYPE_CHECKING:
    from mcpcore.client.answers import Answers
    from mcpcore.client.cache import ResultCache
    from mcpcore.client.checking import ToolBook
    from mcpcore.client.connect import Link
    from mcpcore.client.dial import Connection

__all__ = ["Requests"]

log = logging.getLogger("mcpcore.client")

T = TypeVar("T")
OnProgress = Callable[[Progress], Any]
"""Called in order, and before the result is there; an async one is waited for."""


class Requests:
    """The requests of one client. Every method raises, besides what it names:

    ``RpcError`` for what the server answered, ``InvalidResult`` where its result is not what the method promises,
    ``CallTimeout``, ``ConnectionLost``, ``HttpError``, ``Closed``, and ``UsageError`` for a wrong argument or another
    event loop.
    """

    _link: Link
    _cache: ResultCache
    _caching: bool
    _tools: ToolBook
    _answers: Answers
    _rounds: Rounds
    _level: str | None
    _progress: OnProgress | None

    # -- lists ---------------------------------------------------------------------------------------------------------

    async def list_tools(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Tool]:
        """All tools, page by page; from the cache while the server allows, unless ``refresh``."""
        tools = await self._all("tools/list", ListToolsResult, refresh, timeout)
        self._tools.learn(tools, whole=True)
        return tools

    async def list_resources(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Resource]:
        """All resources. See ``list_tools``."""
        return await self._all("resources/list", ListResourcesResult, refresh, timeout)

    async def list_resource_templates(
        self, *, refresh: bool = False, timeout: Timeout = None
    ) -> list[ResourceTemplate]:
        """All resource templates. See ``list_tools``."""
        return await self._all("resources/templates/list", ListResourceTemplatesResult, refresh, timeout)

    async def list_prompts(self, *, refresh: bool = False, timeout: Timeout = None) -> list[Prompt]:
        """All prompts. See ``list_tools``."""
        return await self._all("prompts/list", ListPromptsResult, refresh, timeout)

    async def list_tools_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListToolsResult:
        """One page: the first, or the one that ``next_cursor`` of the page before leads to ("" is a cursor, too)."""
        page = await self._page("tools/list", ListToolsResult, cursor, refresh, timeout)
        self._tools.learn(page.items)
        return page

    async def list_resources_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListResourcesResult:
        """One page. See ``list_tools_page``."""
        return await self._page("resources/list", ListResourcesResult, cursor, refresh, timeout)

    async def list_resource_templates_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListResourceTemplatesResult:
        """One page. See ``list_tools_page``."""
        return await self._page("resources/templates/list", ListResourceTemplatesResult, cursor, refresh, timeout)

    async def list_prompts_page(
        self, cursor: str | None = None, *, refresh: bool = False, timeout: Timeout = None
    ) -> ListPromptsResult:
        """One page. See ``list_tools_page``."""
        return await self._page("prompts/list", ListPromptsResult, cursor, refresh, timeout)

    async def _all(self, method: str, kind: type[Any], refresh: bool, timeout: Timeout) -> list[Any]:
        """Every page. A cursor that the server refuses, of a page that the cache gave, begins the list anew, once."""
        try:
            return await self._pages(method, kind, refresh, timeout)
        except RpcError as error:
            if refresh or error.code != codes.INVALID_PARAMS or self._cache.get(method, None) is None:
                raise
        return await self._pages(method, kind, True, timeout)

    async def _pages(self, method: str, kind: type[Any], refresh: bool, timeout: Timeout) -> list[Any]:
        limit = self._link.limits.max_pages
        items: list[Any] = []
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(limit):
            page = await self._page(method, kind, cursor, refresh, timeout)
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                return items
            if cursor in seen:
                raise ProtocolViolation(f"{method}: the server's pages go in a circle: one cursor came twice")
            seen.add(cursor)
        raise ProtocolViolation(f"{method}: more than {limit} pages; read them one by one, or raise Limits.max_pages")

    async def _page(self, method: str, kind: type[T], cursor: str | None, refresh: bool, timeout: Timeout) -> T:
        connection = self._link.live() or await self._link.connection()
        if not refresh:
            found: T | None = self._cache.get(method, cursor)
            if found is not None:
                return found
        connection.require(method)
        generation = self._cache.generation
        result = await self._ask(connection, method, {} if cursor is None else {"cursor": cursor}, timeout)
        connection.policy.is_incomplete(method, result)
        page = _read(kind, result, method, None)
        if method == "tools/list" and self._link.mirrors and connection.policy.revision.modern:
            _leave_out(page.items, connection.endpoint)  # type: ignore[attr-defined]
        if self._caching and connection.policy.caches:
            self._cache.put(method, cursor, result, page, generation)
        return page

    # -- calls ---------------------------------------------------------------------------------------------------------

    async def call_tool(
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
        """Call a tool. A failure inside the tool is a result with ``is_error``, not an exception.

        ``timeout``: seconds in total, or ``Timeouts``. ``progress`` is called in order, before this returns.
        ``headers`` are header fields for this request alone, over the client's own; HTTP only. ``type`` is what
        ``result.data`` is decoded as: a dataclass, TypedDict, msgspec Struct, pydantic model, or any type made of
        them; ``InvalidResult`` where it does not fit. Questions of the server go to the client's callbacks; raises
        ``TooManyRounds`` where they do not end. Specification:
        https://modelcontextprotocol.io/specification/2026-07-28/server/tools#calling-tools
        """
        params = {"name": name, "arguments": {} if arguments is None else dict(arguments)}
        try:
            result, _ = await self._drive("tools/call", params, timeout, progress, meta, headers)
        except RpcError as error:
            if error.code != codes.HEADER_MISMATCH or not self._link.mirrors:
                raise
            # Refused unread: the tool may have changed which parameters are mirrored (streamable-http#client-behavior).
            await self.list_tools(refresh=True, timeout=timeout)
            result, _ = await self._drive("tools/call", params, timeout, progress, meta, headers)
        return self._tools.read(name, result, type)

    async def read_resource(
        self,
        uri: str,
        *,
        refresh: bool = False,
        timeout: Timeout = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ReadResourceResult:
        """The contents of a resource; from the cache while the server allows, unless ``refresh``. What is asked for
        with ``headers`` of its own is never stored: it may belong to somebody else.
        """
        connection = self._link.live() or await self._link.connection()
        plain = meta is None and headers is None
        if not refresh and plain:
            found: ReadResourceResult | None = self._cache.get("resources/read", uri)
            if found is not None:
                return found
        generation = self._cache.generation
        result, rounds = await self._drive("resources/read", {"uri": uri}, timeout, None, meta, headers)
        read = _read(ReadResourceResult, result, "resources/read", uri)
        if self._caching and connection.policy.caches and not rounds and plain:
            self._cache.put("resources/read", uri, result, read, generation)
        return read

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: Timeout = None,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> GetPromptResult:
        """A prompt, filled in. The values of its arguments are strings. ``headers``: see ``call_tool``."""
        result, _ = await self._drive("prompts/get", _prompt_params(name, arguments), timeout, None, meta, headers)
        return _read(GetPromptResult, result, "prompts/get", name)

    async def complete(
        self,
        ref: PromptRef | TemplateRef,
        argument: str,
        value: str,
        context: Mapping[str, str] | None = None,
        *,
        timeout: Timeout = None,
    ) -> Completion:
        """What could complete ``value``, the beginning of an argument. ``context``: the arguments that are known
        already.
        """
        connection = self._link.live() or await self._link.connection()
        params: dict[str, Any] = {"ref": to_wire(ref), "argument": {"name": argument, "value": value}}
        if context is not None:
            params["context"] = {"arguments": dict(context)}
        params = sieve("CompleteParams", params, connection.policy.revision)
        connection.require("completion/complete")
        result = await self._ask(connection, "completion/complete", params, timeout)
        connection.policy.is_incomplete("completion/complete", result)
        return _read(CompleteResult, result, "completion/complete", argument).completion

    # -- rounds by hand ------------------------------------------------------------------------------------------------

    async def begin_call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> ToolResult | Step:
        """Call a tool; a ``Step`` where the server asks something first. What it may ask is what the client declares:
        ``capabilities={"elicitation": {"form": {}}}`` where there is no callback. A legacy server asks the callbacks.
        """
        params = {"name": name, "arguments": {} if arguments is None else dict(arguments)}
        found: ToolResult | Step = await self._begin("tools/call", params, timeout, progress, meta, type)
        return found

    async def begin_get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: Timeout = None
    ) -> GetPromptResult | Step:
        """Get a prompt; a ``Step`` where the server asks something first. See ``begin_call``."""
        found: GetPromptResult | Step = await self._begin("prompts/get", _prompt_params(name, arguments), timeout)
        return found

    async def begin_read(self, uri: str, *, timeout: Timeout = None) -> ReadResourceResult | Step:
        """Read a resource; a ``Step`` where the server asks something first. See ``begin_call``."""
        found: ReadResourceResult | Step = await self._begin("resources/read", {"uri": uri}, timeout)
        return found

    async def resume(
        self,
        step: Step,
        answers: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> ToolResult | GetPromptResult | ReadResourceResult | Step:
        """Go on with the answers to ``step.questions``, by key, in the forms that callbacks may return.

        The step may come from another client, or another process, of the same server. Returns the result, or the next
        ``Step``.
        """
        connection = self._link.live() or await self._link.connection()
        if connection.policy.revision is not BY_NAME.get(step.revision):
            text = f"this step belongs to a {step.revision} server, and this one speaks {connection.policy.revision}"
            raise UsageError(f"{text}; connect to the same server with revisions={step.revision!r}")
        return await self._round(connection, step, step.answered(answers or {}), timeout, progress, meta, type)

    async def _begin(
        self,
        method: str,
        params: dict[str, Any],
        timeout: Timeout,
        progress: OnProgress | None = None,
        meta: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> Any:
        connection = self._link.live() or await self._link.connection()
        step = Step(method=method, params=params, round=0)
        return await self._round(connection, step, params, timeout, progress, meta, type)

    async def _round(
        self,
        connection: Connection,
        step: Step,
        params: dict[str, Any],
        timeout: Timeout,
        progress: OnProgress | None,
        meta: Mapping[str, Any] | None,
        type: Any,
    ) -> ToolResult | GetPromptResult | ReadResourceResult | Step:
        connection.require(step.method)
        sent = params if meta is None else {**params, "_meta": dict(meta)}
        result = await self._ask(connection, step.method, sent, timeout, progress)
        if connection.policy.is_incomplete(step.method, result):
            return self._rounds.step(step.method, step.params, result, step.round)
        if step.method == "tools/call":
            return self._tools.read(step.params["name"], result, type)
        name = subject(step.method, step.params)
        if step.method == "prompts/get":
            return _read(GetPromptResult, result, name, None)
        return _read(ReadResourceResult, result, name, None)

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _drive(
        self,
        method: str,
        params: dict[str, Any],
        timeout: Timeout,
        progress: OnProgress | None,
        meta: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[dict[str, Any], bool]:
        """A complete result, and whether it took answers to get it."""
        connection = self._link.live() or await self._link.connection()
        connection.require(method)
        limits = self._link.timeouts if timeout is None else self._link.timeouts.narrowed(timeout)
        time = connection.calls.clock.now
        began = time()
        sent = params if meta is None else {**params, "_meta": dict(meta)}
        on_progress = progress or self._progress
        level = self._level if connection.carries_level else None
        ask = connection.calls.ask
        result = await ask(method, sent, limits, progress=on_progress, level=level, headers=headers)
        if not connection.policy.is_incomplete(method, result):
            return result, False

        async def retry(params: dict[str, Any], spent: float) -> tuple[dict[str, Any], bool]:
            connection = self._link.live() or await self._link.connection()
            sent = params if meta is None else {**params, "_meta": dict(meta)}
            found = await connection.calls.ask(
                method, sent, limits, progress=on_progress, level=level, spent=spent, headers=headers
            )
            return found, connection.policy.is_incomplete(method, found)

        def may_repeat() -> bool:
            """Reading does no harm twice; of a tool its annotations say so, where they are known."""
            return method != "tools/call" or self._tools.may_repeat(params["name"])

        step = self._rounds.step(method, params, result)
        return await self._rounds.complete(retry, step, time() - began, may_repeat), True

    def _ask(
        self,
        connection: Connection,
        method: str,
        params: dict[str, Any],
        timeout: Timeout,
        progress: OnProgress | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Awaitable[dict[str, Any]]:
        limits = self._link.timeouts if timeout is None else self._link.timeouts.narrowed(timeout)
        level = self._level if connection.carries_level else None
        ask = connection.calls.ask
        return ask(method, params, limits, progress=progress or self._progress, level=level, headers=headers)


def _read(kind: type[T], result: dict[str, Any], method: str, about: str | None) -> T:
    try:
        return from_wire(kind, result)
    except InvalidResult as error:
        raise InvalidResult(f"{method if about is None else f'{method} {about[:100]}'}: {error}") from None


def _leave_out(tools: list[Tool], endpoint: str) -> None:
    """Drop the tools whose header parameters break the specification (streamable-http#schema-extension)."""
    for tool in list(tools):
        try:
            header_params(tool.input_schema)
        except ValueError as error:
            tools.remove(tool)
            log.warning("%s: the tool %.100r is left out: %s", endpoint, tool.name, error)


def _prompt_params(name: str, arguments: Mapping[str, str] | None) -> dict[str, Any]:
    params: dict[str, Any] = {"name": name}
    if arguments is not None:
        if not all(isinstance(value, str) for value in arguments.values()):
            raise UsageError(f"prompts/get {name}: the values of a prompt's arguments are strings")
        params["arguments"] = dict(arguments)
    return params
