"""What a client was given to reach a server by HTTP, checked before anything is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mcpcore.core.limits import Limits
from mcpcore.errors import UsageError
from mcpcore.http.proxies import proxy_from, proxy_in_environment
from mcpcore.http.requester import checked_fields
from mcpcore.http.url import parse_url

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Mapping

    from mcpcore.http.proxies import Proxy
    from mcpcore.http.requester import Fields
    from mcpcore.http.url import Url
    from mcpcore.types import Tool

__all__ = ["ChannelOptions", "channel_options"]


class ChannelOptions:
    """What a client was made with, as far as HTTP is concerned.

    ``auth`` is asked before each request for the header fields that authorize it. ``tool(name)`` gives the tool as it
    was listed, ``may_repeat_tool(name)`` whether its annotations say that calling it twice does no harm.
    """

    def __init__(
        self,
        url: Url,
        *,
        fields: Fields | None = None,
        auth: Callable[[], Any] | None = None,
        ssl: tls.SSLContext | None = None,
        proxy: Proxy | None = None,
        agent: str = "mcpcore",
        limits: Limits = Limits(),
        connect_seconds: float | None = 30.0,
        close_seconds: float = 2.0,
        tool: Callable[[str], Tool | None] = lambda name: None,
        may_repeat_tool: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.url = url
        self.fields = fields or {}
        self.auth = auth
        self.ssl = ssl
        self.proxy = proxy
        self.agent = agent
        self.limits = limits
        self.connect_seconds = connect_seconds
        self.close_seconds = close_seconds
        self.tool = tool
        self.may_repeat_tool = may_repeat_tool


def channel_options(
    url: str,
    *,
    headers: Mapping[str, str] | None,
    ssl: tls.SSLContext | None,
    proxy: str | None,
    **others: Any,
) -> ChannelOptions:
    """What the user gave, checked. ``proxy`` is ``"env"``, a URL, or ``None``. Raises ``UsageError``."""
    try:
        parsed = parse_url(url)
    except ValueError as error:
        raise UsageError(f"this URL cannot be used: {error}") from None
    try:
        found = proxy_in_environment(parsed, os.environ) if proxy == "env" else proxy_from(proxy) if proxy else None
    except ValueError as error:
        raise UsageError(f"the proxy cannot be used: {error}; proxy=None uses none") from None
    return ChannelOptions(url=parsed, fields=checked_fields(headers), ssl=ssl, proxy=found, **others)
