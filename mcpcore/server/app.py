"""``Server``: what it offers, and the answers it gives the eras about itself. Registration only computes; nothing
runs here.

One server object serves any number of connections, transports and eras at once. How connections come to be is in
``hosting.py``; how a tool, resource or prompt runs, in the file of that name.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mcpcore.core.limits import Limits
from mcpcore.errors import UsageError
from mcpcore.server import completion, prompts, providers, resources
from mcpcore.server.asking import Replay, Straight
from mcpcore.server.catalogue import Catalogue
from mcpcore.server.handlers import Handler
from mcpcore.server.hosting import Hosting
from mcpcore.server.middleware import wrapped
from mcpcore.server.paging import CursorCodec
from mcpcore.server.prompts import RegisteredPrompt
from mcpcore.server.resources import RegisteredResource, RegisteredTemplate
from mcpcore.server.running import Kind, kind_of
from mcpcore.server.sealing import Sealer, Spent, secrets_from
from mcpcore.server.threads import Workers
from mcpcore.server.tools import RegisteredTool
from mcpcore.spec.members import sieve
from mcpcore.spec.meta import EXTENSION
from mcpcore.spec.methods import REQUESTS
from mcpcore.spec.revisions import ALL, BY_NAME, LATEST, Revision
from mcpcore.types import CacheHint, Implementation, to_wire

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange, Serve
    from mcpcore.server.hosting import Lifespan
    from mcpcore.server.middleware import Middleware
    from mcpcore.server.providers import ToolProvider
    from mcpcore.types import Icon, Prompt, ReadResourceResult, Resource, ResourceTemplate, Tool

__all__ = ["Server"]

F = TypeVar("F", bound=Callable[..., Any])
_log = logging.getLogger("mcpcore.server")
_DECLARABLE = frozenset({"tools", "prompts", "resources", "completions"})


class Server(Hosting):
    """An MCP server: register what it offers, then ``run()`` it.

    ``revisions`` restricts it to some protocol revisions, ``declare`` names capabilities to declare although nothing is
    registered yet, ``secret`` (new first; else ``MCPCORE_SECRET``, else random) seals what clients carry for it,
    ``page_size`` cuts lists into pages, all of them or by method (``{"resources/list": 50}``), ``cache`` gives caching
    hints by method, ``strict_input`` refuses objects and lists that come as JSON in a string. Raises ``UsageError`` for
    an argument that cannot be right.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0",
        title: str | None = None,
        description: str | None = None,
        website_url: str | None = None,
        icons: list[Icon] | None = None,
        instructions: str | None = None,
        revisions: Iterable[str] | None = None,
        lifespan: Lifespan | None = None,
        secret: str | bytes | Sequence[str | bytes] | None = None,
        page_size: int | Mapping[str, int] | None = None,
        cache: Mapping[str, CacheHint] | None = None,
        strict_input: bool = False,
        extensions: Mapping[str, Mapping[str, Any]] | None = None,
        experimental: Mapping[str, Mapping[str, Any]] | None = None,
        declare: Iterable[str] = (),
        logging: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits if limits is not None else Limits()
        self.name = name
        self.instructions = instructions
        self.revisions = _revisions(revisions)
        sizes = page_size.values() if isinstance(page_size, Mapping) else (page_size,)
        if any(size is not None and size < 1 for size in sizes):
            raise UsageError("page_size: a page holds at least one item; None puts everything on one page")
        self._page_size = page_size
        self.strict_input = strict_input
        self.logging = logging
        info = Implementation(
            name=name, version=version, title=title, description=description, website_url=website_url, icons=icons
        )
        self._info = to_wire(info)
        self._extensions = _extensions(extensions)
        self._experimental = {name: dict(value) for name, value in (experimental or {}).items()}
        self._declare = frozenset(declare)
        if unknown := self._declare - _DECLARABLE:
            raise UsageError(
                f"declare: {', '.join(sorted(unknown))}: only {', '.join(sorted(_DECLARABLE))} can be declared"
            )
        _check_methods("page_size", page_size if isinstance(page_size, Mapping) else (), _PAGINATED)
        _check_methods("cache", cache or (), _CACHEABLE)
        self._cache = {
            method: {"ttlMs": hint.ttl_ms, "cacheScope": hint.scope} for method, hint in (cache or {}).items()
        }
        self._sealer = Sealer(secrets_from(secret, os.environ, os.urandom))
        self.cursors = CursorCodec(self._sealer)
        self.spent = Spent(self.limits.spent_states)
        self.workers = Workers(self.limits.threads, self.limits.waiting_threads)
        self.tools: Catalogue[RegisteredTool] = Catalogue(self, "tools/list", "tools", "Tool")
        self.prompts: Catalogue[RegisteredPrompt] = Catalogue(self, "prompts/list", "prompts", "Prompt")
        self.resources: Catalogue[RegisteredResource] = Catalogue(self, "resources/list", "resources", "Resource")
        self.templates: Catalogue[RegisteredTemplate] = Catalogue(
            self, "resources/templates/list", "resourceTemplates", "ResourceTemplate"
        )
        self.completions: dict[tuple[str, str], Handler] = {}
        self._methods: dict[str, Handler] = {}
        self.notification_handlers: dict[str, Handler] = {}
        self._middleware: list[Middleware] = []
        self._providers: list[ToolProvider] = []
        self._routes: dict[Revision, dict[str, Serve]] = {}
        self._capabilities: dict[Revision, dict[str, Any]] = {}
        Hosting.__init__(self, lifespan)

    # -- registration --------------------------------------------------------------------------------------------------

    @overload
    def tool(self, fn: F, /) -> F: ...
    @overload
    def tool(self, name: str | None = None, /, **options: Any) -> Callable[[F], F]: ...
    def tool(self, fn: Any = None, /, **options: Any) -> Any:
        """Register a function as a tool: ``@server.tool``, ``@server.tool("name", ...)``; options as in
        ``add_tool``."""
        if callable(fn):
            self.add_tool(fn, **options)
            return fn
        if fn is not None:
            options["name"] = fn
        return _decorator(self.add_tool, options)

    def add_tool(self, fn: Callable[..., Any], **options: Any) -> Tool:
        """Register ``fn`` as a tool and tell the clients.

        Options: ``name, title, description, annotations, icons, meta``; ``input_schema`` and ``output_schema`` (JSON
        Schema objects, with the extra ``schema``); ``structured`` (``False``: never structured output); ``timeout``
        (seconds), ``concurrency`` and ``queue`` (calls); ``thread``: ``"worker"``, ``"loop"`` or ``"dedicated"`` for a
        plain function; ``single_use``: take each ``requestState`` once. Raises ``UsageError``.
        Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/tools
        """
        from mcpcore.server.registration import make_tool  # with all that reads signatures

        registered = make_tool(self, fn, **options)
        self.tools.add(registered.definition.name, registered.definition, registered)
        if registered.signature.header_params:
            self.mirrored_params[registered.definition.name] = registered.signature.header_params
        self._changed("tools")
        return registered.definition

    def remove_tool(self, name: str) -> None:
        """Forget a tool and tell the clients. Raises ``UsageError`` where there is none."""
        self.tools.remove(name)
        self.mirrored_params.pop(name, None)
        self._changed("tools")

    def resource(self, uri: str, **options: Any) -> Callable[[F], F]:
        """Register a function as a resource, or as a template where ``uri`` has variables: options as in
        ``add_resource``."""
        return _decorator(lambda fn, **given: self.add_resource(uri, fn, **given), options)

    def add_resource(self, uri: str, fn: Callable[..., Any], **options: Any) -> Resource | ResourceTemplate:
        """Register what ``fn`` returns as the contents of ``uri`` and tell the clients.

        Options: ``name, title, description, mime_type, size, annotations, icons, meta, cache, thread``. The
        variables of a template (RFC 6570) are parameters of ``fn``. Raises ``UsageError``.
        Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/resources
        """
        from mcpcore.server.registration import make_resource  # with all that reads signatures

        registered = make_resource(self, uri, fn, **options)
        if isinstance(registered, RegisteredTemplate):
            self.templates.add(uri, registered.definition, registered)
        else:
            self.resources.add(uri, registered.definition, registered)
        self._changed("resources")
        return registered.definition

    def remove_resource(self, uri: str) -> None:
        """Forget a resource or template and tell the clients. Raises ``UsageError`` where there is none."""
        (self.templates if self.templates.get(uri) is not None else self.resources).remove(uri)
        self._changed("resources")

    @overload
    def prompt(self, fn: F, /) -> F: ...
    @overload
    def prompt(self, name: str | None = None, /, **options: Any) -> Callable[[F], F]: ...
    def prompt(self, fn: Any = None, /, **options: Any) -> Any:
        """Register a function as a prompt: ``@server.prompt``, ``@server.prompt("name", ...)``; see ``add_prompt``."""
        if callable(fn):
            self.add_prompt(fn, **options)
            return fn
        if fn is not None:
            options["name"] = fn
        return _decorator(self.add_prompt, options)

    def add_prompt(self, fn: Callable[..., Any], **options: Any) -> Prompt:
        """Register ``fn`` as a prompt and tell the clients. Options: ``name, title, description, icons, meta, thread``.

        Its parameters are the prompt's arguments, strings on the wire, converted to the annotated types.
        Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/prompts
        """
        from mcpcore.server.registration import make_prompt  # with all that reads signatures

        registered = make_prompt(self, fn, **options)
        self.prompts.add(registered.definition.name, registered.definition, registered)
        self._changed("prompts")
        return registered.definition

    def remove_prompt(self, name: str) -> None:
        """Forget a prompt and tell the clients. Raises ``UsageError`` where there is none."""
        self.prompts.remove(name)
        self._changed("prompts")

    def completion(self, of: str, argument: str) -> Callable[[F], F]:
        """Register ``fn(value[, arguments][, ctx])`` as the completion of a prompt's or template's argument.

        ``of`` is the prompt's name or the template. It returns strings, best first, or a ``Completion``.
        """

        def register(fn: F) -> F:
            self.completions[of, argument] = Handler(self, fn)
            self._rebuild()
            return fn

        return register

    def method(self, name: str) -> Callable[[F], F]:
        """Register ``fn(params[, ctx])`` for requests of your own, such as ``"acme/search"``; it returns an object.

        Raises ``UsageError`` for a method of the protocol's, and for one that is registered already.
        """
        if name in REQUESTS:
            raise UsageError(
                f"{name} is a method of the protocol, which the server answers itself; choose another name"
            )
        if name in self._methods:
            raise UsageError(f"the method {name!r} is registered already; choose another name")

        def register(fn: F) -> F:
            self._methods[name] = Handler(self, fn)
            self._rebuild()
            return fn

        return register

    def notification(self, name: str) -> Callable[[F], F]:
        """Register ``fn(params)`` for a notification of the client, such as ``"notifications/roots/list_changed"``."""

        def register(fn: F) -> F:
            self.notification_handlers[name] = Handler(self, fn)
            return fn

        return register

    def middleware(self, fn: Middleware) -> Middleware:
        """Register ``async fn(message, call_next)`` around every request and notification; the first one is outermost.

        ``message`` has ``method``, ``params`` and, for a request, ``id``; ``await call_next(message)`` gives the
        result.
        """
        if kind_of(fn) is Kind.FUNCTION:
            raise UsageError("middleware must be a coroutine function: async def fn(message, call_next)")
        self._middleware.append(fn)
        self._rebuild()
        return fn

    def add_tool_provider(self, provider: ToolProvider) -> None:
        """Add a dynamic source of tools: ``list(ctx)`` and ``call(name, arguments, ctx)``, asked for each request."""
        self._providers.append(provider)
        self._changed("tools")

    # -- what the eras ask (core/policy.py, Service) -------------------------------------------------------------------

    def routes(self, revision: Revision) -> Mapping[str, Serve]:
        table = self._routes.get(revision)
        if table is None:
            table = self._routes[revision] = {}
            self._fill(table, revision)
        return table

    def around(self, serve: Serve) -> Serve:
        """``serve`` inside the middleware that there is when a message comes: connections hold on to this."""
        return lambda exchange: wrapped(serve, self._middleware)(exchange)

    def identity(self, revision: Revision) -> dict[str, Any]:
        return sieve("Implementation", self._info, revision)

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        known = self._capabilities
        found = known.get(revision)
        if found is None:
            found = known[revision] = self._declared(revision)
        return found

    def page_size(self, method: str) -> int | None:
        size = self._page_size
        return size.get(method) if isinstance(size, Mapping) else size

    def cache_hint(self, method: str) -> dict[str, Any]:
        return self._cache.get(method, _NO_CACHE)

    def make_asker(self, exchange: Exchange, replays: bool) -> Any:
        return Replay(exchange, self.limits, self._sealer) if replays else Straight(exchange, self.limits)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def read_resource(self, uri: str, exchange: Exchange) -> ReadResourceResult:
        """What ``ctx.read_resource`` calls."""
        from mcpcore.types import ReadResourceResult, from_wire

        return from_wire(ReadResourceResult, await resources.read(self, exchange, uri))

    def _declared(self, revision: Revision) -> dict[str, Any]:
        capabilities: dict[str, Any] = {}
        if self.tools or self._providers or "tools" in self._declare:
            capabilities["tools"] = {"listChanged": True}
        if self.prompts or "prompts" in self._declare:
            capabilities["prompts"] = {"listChanged": True}
        if self.resources or self.templates or "resources" in self._declare:
            capabilities["resources"] = {"subscribe": True, "listChanged": True}
        if self._completes() and revision.completions_capability:
            capabilities["completions"] = {}
        if self.logging:
            capabilities["logging"] = {}
        # What was declared once stays: its list may be empty, but its methods are known (server/tools#capabilities).
        self._declare |= _DECLARABLE.intersection(capabilities)
        if self._experimental:
            capabilities["experimental"] = self._experimental
        if self._extensions and revision.modern:
            capabilities["extensions"] = self._extensions
        return capabilities

    def _completes(self) -> bool:
        handlers = [prompt.handler for prompt in self.prompts] + [template.handler for template in self.templates]
        derived = any(p.choices for handler in handlers for p in handler.parameters.values())
        return derived or bool(self.completions) or "completions" in self._declare

    def _fill(self, table: dict[str, Serve], revision: Revision) -> None:
        capabilities = self.capabilities(revision)
        found: dict[str, Serve] = {name: self._own_method(name, handler) for name, handler in self._methods.items()}
        if "tools" in capabilities:
            found["tools/list"] = self.tools.serve_list
            found["tools/call"] = self._call_tool
            if self._providers:
                found["tools/list"] = lambda exchange: providers.serve_list(self, self._providers, exchange)
        if "prompts" in capabilities:
            found["prompts/list"] = self.prompts.serve_list
            found["prompts/get"] = lambda exchange: prompts.serve_get(self, exchange)
        if "resources" in capabilities:
            found["resources/list"] = self.resources.serve_list
            found["resources/templates/list"] = self.templates.serve_list
            found["resources/read"] = lambda exchange: resources.serve_read(self, exchange)
        if self._completes():
            found["completion/complete"] = lambda exchange: completion.serve_complete(self, exchange)
        for name in table.keys() - found.keys():
            del table[name]
        # Never empty in between: a thread may be registering while the loop looks something up.
        table.update({name: wrapped(serve, self._middleware) for name, serve in found.items()})

    def _call_tool(self, exchange: Exchange) -> Any:
        params = exchange.params
        try:
            tool = self.tools.items[params["name"]][2]
        except (KeyError, TypeError):
            return providers.call_other(self, self._providers, exchange)
        arguments = params.get("arguments")
        if arguments is not None and type(arguments) is not dict:
            raise providers.bad_arguments()
        return tool.serve(exchange, arguments)

    def _own_method(self, name: str, handler: Handler) -> Serve:
        async def serve(exchange: Exchange) -> dict[str, Any]:
            value = await handler.run(exchange, {"params": exchange.params})
            if not isinstance(value, dict):
                raise UsageError(f"the handler of {name!r} must return an object, not {type(value).__name__}")
            if value.get("resultType") == "input_required":  # patterns/mrtr#supported-requests
                raise UsageError(f"{name!r} must not ask: only tools/call, prompts/get and resources/read may")
            return value

        return serve

    def _changed(self, topic: str) -> None:
        self._rebuild()
        self.notify_changed(topic)

    def _rebuild(self) -> None:
        """Bring the route tables up to date, in place: open connections hold them."""
        self._capabilities = {}  # not cleared: another thread may be about to store what it has just worked out
        for revision, table in tuple(self._routes.items()):
            self._fill(table, revision)


_NO_CACHE = {"ttlMs": 0, "cacheScope": "private"}
_PAGINATED = frozenset(name for name, method in REQUESTS.items() if method.paginated and method.exists(LATEST))
_CACHEABLE = frozenset(name for name, method in REQUESTS.items() if method.cacheable)


def _decorator(register: Callable[..., Any], options: dict[str, Any]) -> Callable[[F], F]:
    def decorate(fn: F) -> F:
        register(fn, **options)
        return fn

    return decorate


def _revisions(names: Iterable[str] | None) -> tuple[Revision, ...]:
    if names is None:
        return ALL
    wanted = {names} if isinstance(names, str) else set(names)
    if not wanted or (unknown := wanted - BY_NAME.keys()):
        given = ", ".join(sorted(map(str, unknown))) if wanted else "nothing"
        raise UsageError(f"revisions: {given}: the published revisions are {', '.join(BY_NAME)}")
    return tuple(sorted(BY_NAME[name] for name in wanted))


def _check_methods(option: str, methods: Iterable[str], known: frozenset[str]) -> None:
    if unknown := set(methods) - known:
        given = ", ".join(sorted(map(str, unknown)))
        raise UsageError(f"{option}: {given}: the methods it knows are {', '.join(sorted(known))}")


def _extensions(extensions: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    for name in extensions or ():
        if not re.fullmatch(EXTENSION, name):
            raise UsageError(f"extensions: {name!r} is no identifier with a prefix, such as com.example/thing")
    return {name: dict(value) for name, value in (extensions or {}).items()}
