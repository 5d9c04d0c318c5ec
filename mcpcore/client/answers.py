"""What a client answers when its server asks: the user's callbacks for sampling, elicitation and roots, in both eras.

In a legacy era the questions come as requests and this is the service that serves them; in the modern era they come
inside a result, and ``rounds.py`` asks here. What is declared to the server is what can be answered.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/client/sampling and .../client/elicitation
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mcpcore.client.callbacks import call
from mcpcore.client.conversions import elicitation_answer, refused_sampling, roots_answer, sampling_answer
from mcpcore.errors import AnswerTimeout, InvalidResult, RpcError, UsageError
from mcpcore.spec import codes
from mcpcore.spec.members import sieve
from mcpcore.spec.methods import REQUESTS, check_params
from mcpcore.spec.tool_loops import tool_loop_fault
from mcpcore.types import CreateMessageParams, ElicitParams, from_wire

if TYPE_CHECKING:
    from mcpcore.client.timeouts import Clock
    from mcpcore.core.exchange import Exchange, Serve
    from mcpcore.core.limits import Limits
    from mcpcore.spec.revisions import Revision

__all__ = ["Answers", "Refused"]

T = TypeVar("T")

SAMPLING, ELICITATION, ROOTS = "sampling/createMessage", "elicitation/create", "roots/list"


class Refused(RpcError):
    """The question breaks a rule, or nobody here can answer it: no callback was asked."""


class Answers:
    """The answering side of one client. ``declared`` is merged into the capabilities that the callbacks imply."""

    instructions: str | None = None
    clock: Clock | None = None
    """Stands still while a legacy server waits for us."""

    def __init__(
        self,
        info: dict[str, Any],
        limits: Limits,
        *,
        sampling: Callable[..., Any] | None,
        elicitation: Callable[..., Any] | None,
        roots: Any,
        declared: Mapping[str, Any],
    ) -> None:
        self._info = info
        self._limits = limits
        self._callbacks = {SAMPLING: sampling, ELICITATION: elicitation, ROOTS: roots}
        self._asked = 0
        own: dict[str, Any] = {}
        if roots is not None:
            own["roots"] = {"listChanged": True}
        if sampling is not None:
            own["sampling"] = {}
        if elicitation is not None and "elicitation" not in declared:
            own["elicitation"] = {"form": {}, "url": {}}
        for name, more in declared.items():
            if not isinstance(more, Mapping):
                raise UsageError(f"capabilities[{name!r}] must be an object of settings; {{}} for none")
            own[name] = {**own.get(name, {}), **more}
        self._declared = own

    # -- what the eras ask (core/policy.py, Service) -------------------------------------------------------------------

    def identity(self, revision: Revision) -> dict[str, Any]:
        return sieve("Implementation", self._info, revision)

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        return sieve("ClientCapabilities", self._declared, revision)

    def routes(self, revision: Revision) -> Mapping[str, Serve]:
        answerable = (method for method, callback in self._callbacks.items() if callback is not None)
        return {method: self._serve for method in answerable if REQUESTS[method].exists(revision)}

    def around(self, serve: Serve) -> Serve:
        return serve

    def cache_hint(self, method: str) -> dict[str, Any]:
        return {}

    def make_asker(self, exchange: Exchange, replays: bool) -> NoReturn:
        raise NotImplementedError("a client asks nothing while it answers")

    async def _serve(self, exchange: Exchange) -> dict[str, Any]:
        clock = self.clock
        if clock is not None:
            clock.hold()
        try:
            return await self.answer(exchange.method, exchange.params, exchange.revision)
        except AnswerTimeout as error:
            raise RpcError(codes.INTERNAL_ERROR, str(error)) from None
        finally:
            if clock is not None:
                clock.release()

    # -- answering -----------------------------------------------------------------------------------------------------

    async def answer(self, method: str, params: dict[str, Any], revision: Revision) -> dict[str, Any]:
        """The result for one question, as the wire wants it.

        Raises ``Refused``, ``RpcError`` where the user declined to sample, ``AnswerTimeout``, ``UsageError`` where a
        callback answered something impossible, and whatever the callback raises.
        """
        self.check(method, params, revision)
        callback = self._callbacks[method]
        if callback is None:
            raise Refused(codes.METHOD_NOT_FOUND, f"{method}: this client has no callback for it")
        if self._asked >= self._limits.max_questions:
            raise Refused(codes.OVERLOADED, f"{method}: {self._asked} questions are waiting for an answer already")
        self._asked += 1
        limit = asyncio.timeout(self._limits.answer_seconds)
        try:
            async with limit:
                result = await _ANSWERING[method](callback, params)
        except TimeoutError:
            if not limit.expired():
                raise
            raise AnswerTimeout(f"{method}: no answer within {self._limits.answer_seconds:g} seconds") from None
        finally:
            self._asked -= 1
        return sieve(_RESULTS[method], result, revision)

    def check(self, method: str, params: dict[str, Any], revision: Revision) -> None:
        """Whether the server may ask this. Raises ``Refused``."""
        capabilities = self.capabilities(revision)
        kind = _KINDS.get(method)
        if kind is None or kind not in capabilities:
            raise Refused(codes.METHOD_NOT_FOUND, f"{method}: this client did not declare that it can answer that")
        fault = check_params(method, params, revision)
        if fault is None and method == ELICITATION:
            mode = params.get("mode", "form")
            declared = capabilities[kind] or {"form": {}}
            if mode not in declared:
                fault = f"the elicitation mode {str(mode)[:50]!r} was not declared by this client"
        elif fault is None and method == SAMPLING:
            fault = _sampling_fault(params, capabilities[kind])
        if fault is not None:
            raise Refused(codes.INVALID_PARAMS, f"{method}: {fault}")


def _read(cls: type[T], params: dict[str, Any], method: str) -> T:
    try:
        return from_wire(cls, params)
    except InvalidResult as error:
        raise Refused(codes.INVALID_PARAMS, f"{method}: {error}") from None


async def _sample(callback: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    answer = await call(callback, _read(CreateMessageParams, params, SAMPLING))
    if answer is None:
        raise refused_sampling()
    return sampling_answer(params, answer)


async def _elicit(callback: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    question = _read(ElicitParams, params, ELICITATION)
    return elicitation_answer(question, await call(callback, question))


async def _list_roots(callback: Any, params: dict[str, Any]) -> dict[str, Any]:
    return roots_answer(await call(callback) if callable(callback) else callback)


_KINDS = {SAMPLING: "sampling", ELICITATION: "elicitation", ROOTS: "roots"}
_ANSWERING = {SAMPLING: _sample, ELICITATION: _elicit, ROOTS: _list_roots}
_RESULTS = {SAMPLING: "CreateMessageResult", ELICITATION: "ElicitResult", ROOTS: "ListRootsResult"}


def _sampling_fault(params: dict[str, Any], declared: dict[str, Any]) -> str | None:
    if ("tools" in params or "toolChoice" in params) and "tools" not in declared:
        return 'tools were given, but this client did not declare {"sampling": {"tools": {}}}'
    return tool_loop_fault(params["messages"])
