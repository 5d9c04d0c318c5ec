"""Requests that take several rounds: the server asks inside its result, the answers travel with a retry.

Driven here until the request is complete, or one round at a time as a ``Step`` that can be stored and resumed
elsewhere. ``requestState`` belongs to the server: it is sent back byte for byte, exactly where it was given.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mcpcore.client.answers import Refused
from mcpcore.client.calls import subject
from mcpcore.client.conversions import answer_for
from mcpcore.errors import InvalidResult, ProtocolViolation, RpcError, UsageError
from mcpcore.spec import codes
from mcpcore.spec.revisions import MODERN
from mcpcore.types import CreateMessageParams, ElicitParams, ListRoots, from_wire

if TYPE_CHECKING:
    from mcpcore.client.answers import Answers

__all__ = ["Rounds", "Step", "TooManyRounds"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds before a retry that only brings the state back: the server asked for time, not for answers."""

Question = ElicitParams | CreateMessageParams | ListRoots


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waits for answers. ``client.resume(step, {key: answer})`` goes on, in this process or another.

    ``params`` are the request's own, ``input_requests`` the questions as they came.
    """

    method: str
    params: dict[str, Any]
    input_requests: dict[str, dict[str, Any]] = {}
    request_state: str | None = None
    revision: str = MODERN.name
    round: int = 1

    @property
    def questions(self) -> dict[str, Question]:
        """What is asked, by key: ``ElicitParams``, ``CreateMessageParams``, or ``ListRoots`` for the roots."""
        return {key: _typed(asked["method"], asked.get("params", {})) for key, asked in self.input_requests.items()}

    def to_json(self) -> str:
        """For storage. It holds the arguments and the server's state: keep it as safe as those."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Step:
        """What ``to_json`` wrote. Raises ``UsageError`` for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise UsageError(f"this is not a Step that to_json wrote: {error}") from None

    def answered(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of the retry, with answers in the forms that callbacks may return."""
        if answers.keys() != self.input_requests.keys():
            wanted = ", ".join(map(repr, self.input_requests)) or "none"
            raise UsageError(
                f"{subject(self.method, self.params)}: answers are needed for exactly these questions: {wanted}"
            )
        wire = {
            key: answer_for(asked["method"], asked.get("params", {}), answers[key])
            for key, asked in self.input_requests.items()
        }
        return self._retry(wire)

    def _retry(self, responses: dict[str, Any]) -> dict[str, Any]:
        params = dict(self.params)
        if responses:
            params["inputResponses"] = responses
        if self.request_state is not None:
            params["requestState"] = self.request_state
        return params


class TooManyRounds(ProtocolViolation):
    """The server goes on asking. ``step`` is where it stands; ``client.resume`` could go on by hand."""

    def __init__(self, message: str, step: Step) -> None:
        super().__init__(message)
        self.step = step


class Rounds:
    """Drives requests to their end with the client's own callbacks."""

    def __init__(self, answers: Answers, max_rounds: int) -> None:
        if max_rounds < 0:
            raise UsageError("max_rounds must not be negative")
        self._answers = answers
        self._max_rounds = max_rounds

    def step(self, method: str, params: dict[str, Any], result: dict[str, Any], before: int = 0) -> Step:
        """What an incomplete result asks for. Raises ``InvalidResult`` where it asks for what it may not."""
        name = subject(method, params)
        requests, state = result.get("inputRequests"), result.get("requestState")
        if requests is None and state is None:
            raise InvalidResult(f"{name}: an input_required result needs inputRequests or requestState")
        if state is not None and type(state) is not str:
            raise InvalidResult(f"{name}: requestState must be a string")
        requests = {} if requests is None else requests
        if type(requests) is not dict:
            raise InvalidResult(f"{name}: inputRequests must be an object")
        for key, asked in requests.items():
            self._check(f"{name}: the input request {key[:100]!r}", asked)
        return Step(method=method, params=params, input_requests=requests, request_state=state, round=before + 1)

    def _check(self, name: str, asked: Any) -> None:
        question = asked if type(asked) is dict else {}
        method, params = question.get("method"), question.get("params", {})
        if type(method) is not str or type(params) is not dict:
            raise InvalidResult(f"{name} must hold a method and parameters")
        try:
            self._answers.check(method, params, MODERN)
        except Refused as error:
            raise InvalidResult(f"{name} cannot be answered: {error.message}") from None

    async def complete(
        self,
        ask: Callable[[dict[str, Any], float], Awaitable[tuple[dict[str, Any], bool]]],
        step: Step,
        spent: float,
        may_repeat: Callable[[], bool],
    ) -> dict[str, Any]:
        """Answer and retry until the result is complete. ``ask(params, spent)`` sends one retry and says whether its
        result is incomplete; what our callbacks take does not count as spent.

        State that the server refuses, because it is too old or the server is a new one, begins the request anew, once,
        and only where ``may_repeat`` says that this does no harm.
        """
        time = asyncio.get_running_loop().time
        repeated = False
        while True:
            if step.round > self._max_rounds:
                text = f"{subject(step.method, step.params)}: the server still asks after {self._max_rounds} rounds"
                raise TooManyRounds(text, step)
            began = time()
            if step.input_requests:
                retry = step._retry(await self._answer(step))
                began = time()
            else:
                await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (step.round - 1), _LONGEST_PAUSE))
                retry = step._retry({})
            try:
                result, incomplete = await ask(retry, spent + time() - began)
            except RpcError as error:
                refused = error.code == codes.INVALID_PARAMS and step.request_state is not None
                if repeated or not refused or not may_repeat():
                    raise
                repeated = True
                result, incomplete = await ask(step.params, spent + time() - began)
            spent += time() - began
            if not incomplete:
                return result
            step = self.step(step.method, step.params, result, step.round)

    async def _answer(self, step: Step) -> dict[str, Any]:
        """All questions at once. The first one that fails ends the others."""
        asked = step.input_requests
        if len(asked) == 1:
            ((key, question),) = asked.items()
            return {key: await self._answer_one(question)}
        tasks = {key: asyncio.ensure_future(self._answer_one(question)) for key, question in asked.items()}
        try:
            await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks.values():
                if task.done():
                    task.result()
            return {key: task.result() for key, task in tasks.items()}
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _answer_one(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._answers.answer(question["method"], question.get("params", {}), MODERN)
        except Refused as error:
            raise UsageError(
                f"{error.message}; give the client one, or answer by hand: begin_call and resume"
            ) from None


def _typed(method: str, params: dict[str, Any]) -> Question:
    if method == "elicitation/create":
        return from_wire(ElicitParams, params)
    return from_wire(CreateMessageParams, params) if method == "sampling/createMessage" else ListRoots()
