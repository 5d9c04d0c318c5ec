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
