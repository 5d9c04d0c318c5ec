"""What a bridge offers to its clients: the same as a ``Server`` does to a transport, with the server somewhere else.

Modern requests share one conversation with the server behind; each legacy session has one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.bridge.conversation import Conversation
from mcpcore.bridge.doors import LegacyFront, ModernFront, PipeDoor
from mcpcore.client.checking import ToolBook
from mcpcore.client.targets import HttpSettings, Target, target_for
from mcpcore.core.limits import Limits
from mcpcore.spec.revisions import ALL
from mcpcore.transports.http_routes import Routes
from mcpcore.transports.http_serving import HttpServing
from mcpcore.transports.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpcore.core.events import Notified
    from mcpcore.spec.revisions import Revision
    from mcpcore.transports.serving import Serving

__all__ = ["Bridge"]


class Bridge:
    """``target`` is what a ``Client`` takes: a URL or a command. Raises ``UsageError`` for anything else."""

    def __init__(
        self, target: str | Sequence[str], *, headers: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.revisions: Sequence[Revision] = ALL
        self.mirrored_params: Mapping[str, Mapping[str, str]] = {}
        self.custom_routes = Routes()
        self._target = target
        self._settings = HttpSettings(headers=headers) if headers else HttpSettings()
        self.name = f"bridge to {self._make_target(ToolBook('off')).name}"
        self._shared = Conversation(self._make_target, self.limits, modern=True)
        self._conversations: dict[Any, Conversation] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def _make_target(self, tools: ToolBook) -> Target:
        return target_for(
            self._target,
            self.limits,
            http=self._settings,
            tools=tools,
            agent="mcpcore-bridge",
            connect_seconds=30.0,
            env=None,
            cwd=None,
            inherit_env="all",
            close_timeout=2.0,
        )

    def run(self, transport: str, **options: Any) -> NoReturn:
        """Serve on ``"stdio"`` or ``"http"`` until the input ends or a signal comes, then end the process."""
        if transport == "stdio":
            from mcpcore.server.stdio_process import run_stdio

            run_stdio(self)  # type: ignore[arg-type]
        from mcpcore.server.http_process import run_http
        from mcpcore.transports.http_options import RunOptions

        run_http(self, RunOptions(**options))  # type: ignore[arg-type]

    # -- what the transports ask of a server ---------------------------------------------------------------------------

    def open_runner(self) -> Runner:
        """A runner for one pipe, on which both eras are served."""
        legacy = Conversation(self._make_target, self.limits, modern=False)
        door = PipeDoor(ModernFront(self._shared), LegacyFront(legacy))
        runner = Runner(door, self.limits, server=True, on_notified=self.on_notified, on_closed=self._lost)
        self._keep(runner, legacy)
        return runner

    def modern_serving(self) -> HttpServing:
        return HttpServing(self, ModernFront(self._shared))

    def legacy_serving(self, sessionless: str | None = None) -> HttpServing:
        legacy = Conversation(self._make_target, self.limits, modern=False)
        serving = HttpServing(self, LegacyFront(legacy))
        self._keep(serving, legacy)
        return serving

    def _keep(self, serving: Serving, conversation: Conversation) -> None:
        conversation.front = serving
        self._conversations[serving] = conversation

    def on_notified(self, serving: Any, event: Notified) -> None:
        self._conversations.get(serving, self._shared).notify(event)

    def adopt(self, serving: Serving) -> None:
        """Changes are told by the server behind."""

    def release(self, serving: Serving) -> None:
        conversation = self._conversations.pop(serving, None)
        if conversation is not None:
            task = asyncio.get_running_loop().create_task(conversation.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _lost(self, runner: Runner, error: Exception | None) -> None:
        self.release(runner)

    async def start_lifespan(self, user: object) -> None:
        """The server behind is connected to by the first request."""

    async def stop_lifespan(self, user: object) -> None:
        """End every connection to the server behind."""
        for serving in tuple(self._conversations):
            self.release(serving)
        await self._shared.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=5)
