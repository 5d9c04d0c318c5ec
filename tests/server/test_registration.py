"""What registration refuses, with the remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mcpcore import Server, UsageError


def yields() -> Iterator[str]:
    yield "piece"


async def yields_later() -> AsyncIterator[str]:
    yield "piece"


@pytest.mark.parametrize("fn", [yields, yields_later])
@pytest.mark.parametrize(
    "register",
    [
        lambda server, fn: server.add_tool(fn),
        lambda server, fn: server.add_prompt(fn),
        lambda server, fn: server.add_resource("test:it", fn),
    ],
)
def test_a_generator_is_no_handler(register: Callable[[Server, Any], Any], fn: Any) -> None:
    with pytest.raises(UsageError, match=r"yields: a handler returns its result at once; ctx\.progress tells"):
        register(Server("registration"), fn)


@pytest.mark.parametrize("name", ["tools/call", "initialize", "server/discover", "ping"])
def test_a_method_of_the_protocol_is_not_overruled(name: str) -> None:
    with pytest.raises(UsageError, match="choose another name"):
        Server("test").method(name)


def test_a_method_of_ones_own_is_registered_once() -> None:
    server = Server("test")

    @server.method("acme/search")
    async def search(params: dict[str, Any]) -> dict[str, Any]:
        return {}

    with pytest.raises(UsageError, match="registered already"):
        server.method("acme/search")


def test_middleware_is_a_coroutine_function() -> None:
    with pytest.raises(UsageError, match="async def"):
        Server("test").middleware(lambda message, call_next: None)  # type: ignore[arg-type, return-value]
