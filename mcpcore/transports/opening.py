"""How a client's conversation begins: the probe driven over a runner, until one revision is proven.

What to send and what the answers prove is decided in ``eras/probe.py``; this file sends, waits and keeps the time.
Starting the transport, the overall limit of time, and closing after a failure are the caller's business.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcpcore.eras.door import ClientDoor
from mcpcore.eras.legacy import LegacyClient
from mcpcore.eras.modern import ModernClient
from mcpcore.eras.probe import Probe, Step, Verdict
from mcpcore.errors import ConnectionLost, ProtocolViolation
from mcpcore.spec.revisions import BY_NAME
from mcpcore.transports.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpcore.core.events import Notified
    from mcpcore.core.exchange import Pending
    from mcpcore.core.limits import Limits
    from mcpcore.core.policy import Service
    from mcpcore.spec.revisions import Revision

__all__ = ["ClientPolicy", "LostWhileProbing", "Opening", "Verdict", "client_runner", "open_conversation"]

ClientPolicy = LegacyClient | ModernClient


class Opening:
    """A conversation that stands: its policy, the verdict, and the result that decided (discovery or handshake)."""

    def __init__(self, policy: ClientPolicy, verdict: Verdict, result: dict[str, Any]) -> None:
        self.policy = policy
        self.verdict = verdict
        self.result = result


class LostWhileProbing(ConnectionLost):
    """The server went away after ``server/discover``, the only message it got: some legacy servers take any first
    message but ``initialize`` for a reason to exit."""


def client_runner(
    limits: Limits,
    *,
    on_notified: Callable[[Runner, Notified], None],
    on_closed: Callable[[Runner, Exception | None], None],
) -> Runner:
    """The client's side of one connection, before its era is known."""
    return Runner(ClientDoor(), limits, server=False, on_notified=on_notified, on_closed=on_closed)


async def open_conversation(
    runner: Runner, service: Service, allowed: Sequence[Revision], verdict: Verdict | None, patience: float
) -> Opening:
    """Find out what the server speaks, and begin to speak it. ``allowed`` lists the client's revisions, oldest first.

    Raises ``UnsupportedRevision``, what the server answered (``RpcError``), or ``ConnectionLost``.
    """
    opener = _Opener(runner, service, Probe(allowed, verdict))
    try:
        found = await opener.run(patience)
    finally:
        opener.forget()
    policy = opener.commit(BY_NAME[found.revision])
    return Opening(policy, found, opener.probe.result)


class _Opener:
    """The requests of one probe that are under way: at most a discovery and a handshake side by side."""

    def __init__(self, runner: Runner, service: Service, probe: Probe) -> None:
        self.probe = probe
        self._runner = runner
        self._service = service
        self._modern = ModernClient(service)
        self._open: dict[asyncio.Future[dict[str, Any]], tuple[Pending, Step]] = {}
        self._shaken = False

    async def run(self, patience: float) -> Verdict:
        step: Step | None = self.probe.first()
        while True:
            silence = None
            if step is not None:
                self._send(step)
                silence = patience if step.patience else None
            if not self._open:
                raise ProtocolViolation(
                    "the answers to server/discover and initialize are not what a server may answer"
                )
            done, _ = await asyncio.wait(self._open, timeout=silence, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                step = self.probe.silent()
                continue
            outcome = self._take(next(future for future in self._open if future in done))
            if isinstance(outcome, Verdict):
                return outcome
            step = outcome

    def commit(self, revision: Revision) -> ClientPolicy:
        """From here on the conversation is in this revision."""
        policy = self._modern if revision.modern else LegacyClient(self._service, revision)
        self._speak(policy)
        self._runner.peer.revision = revision
        if not revision.modern:
            self._runner.peer.notify("notifications/initialized", None)
        return policy

    def forget(self) -> None:
        """A request that lost the race gets no cancellation: to its server it may be no request at all."""
        for future, (pending, _) in self._open.items():
            self._runner.peer.outgoing.pop(pending.id, None)
            if not future.cancel() and not future.cancelled():
                future.exception()
        self._open.clear()

    def _send(self, step: Step) -> None:
        if step.method == "initialize":
            self._shaken = True
            self._speak(LegacyClient(self._service, step.revision))  # it may ping before it answers
            params: dict[str, Any] = {
                "protocolVersion": step.revision.name,
                "capabilities": self._service.capabilities(step.revision),
                "clientInfo": self._service.identity(step.revision),
            }
        else:
            params = self._modern.wrap(None, None)
        pending = self._runner.ask(step.method, params)
        self._open[pending.waiter] = (pending, step)

    def _speak(self, policy: ClientPolicy) -> None:
        self._runner.door.policy = policy  # type: ignore[attr-defined]
        self._runner.peer.answers = policy.answers

    def _take(self, future: asyncio.Future[dict[str, Any]]) -> Step | Verdict | None:
        pending, step = self._open.pop(future)
        error = pending.error
        if error is None:
            return self.probe.answered(step, future.result())
        future.exception()
        if self._runner.lost is None:
            return self.probe.failed(step, error, bool(self._open))
        if isinstance(error, ConnectionLost) and not self._shaken:
            raise LostWhileProbing(str(error)) from None
        raise error
