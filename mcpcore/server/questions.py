"""The questions a server may ask its client: what each needs of the client, and what an answer must look like.

Shared by both ways of asking (``asking.py``). Nothing is sent from here.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mcpcore.errors import InvalidResult, RpcError, UsageError
from mcpcore.jsonrpc.codec import encode_sorted
from mcpcore.spec import codes
from mcpcore.spec.conversions import elicitation_fits, sampling_fits
from mcpcore.spec.forms import check_form, form_fault
from mcpcore.spec.members import sieve
from mcpcore.spec.methods import check_params
from mcpcore.spec.tool_loops import tool_loop_fault
from mcpcore.types import (
    CreateMessageResult,
    Elicit,
    ElicitResult,
    ElicitUrl,
    ListRoots,
    ListRootsResult,
    Sample,
    from_wire,
)

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.spec.revisions import Revision
    from mcpcore.types import Question

__all__ = ["Asked", "Unrecognised", "prepare"]


class Unrecognised(Exception):
    """An answer that is not one to this kind of question at all."""


class Asked:
    """One question, ready to travel: its method, its parameters for this revision, and how to read the answer."""

    __slots__ = ("method", "params", "question")

    def __init__(self, question: Question, method: str, params: dict[str, Any]) -> None:
        self.question = question
        self.method = method
        self.params = params

    @property
    def digest(self) -> str:
        """What tells this question from another one on replay."""
        from hashlib import sha256  # heavy, and only asking needs it

        return sha256(encode_sorted([self.method, self.params])).hexdigest()[:24]

    def read(self, answer: Any) -> Any:
        """The typed answer. ``Unrecognised`` for another shape, ``InvalidResult`` for one that breaks its schema."""
        if type(answer) is not dict:
            raise Unrecognised
        if self.method == "elicitation/create":
            return self._read_elicitation(answer)
        if self.method == "sampling/createMessage":
            if not ("role" in answer and "content" in answer):
                raise Unrecognised
            if answer["role"] not in ("user", "assistant"):
                raise InvalidResult("sampling/createMessage: the role must be user or assistant")
            return from_wire(CreateMessageResult, answer)
        if type(answer.get("roots")) is not list:
            raise Unrecognised
        return from_wire(ListRootsResult, answer).roots

    def _read_elicitation(self, answer: dict[str, Any]) -> ElicitResult:
        if answer.get("action") not in ("accept", "decline", "cancel"):
            raise Unrecognised
        result = from_wire(ElicitResult, answer)
        if result.action != "accept" or not isinstance(self.question, Elicit):
            return result
        content = result.content if result.content is not None else {}
        fault = check_form(self.params["requestedSchema"], content)
        if fault is not None:
            raise InvalidResult(f"elicitation/create: the answer does not fit the requested schema: {fault}")
        result.data = content
        if isinstance(self.question.schema, type):
            try:
                result.data = msgspec.convert(content, self.question.schema, strict=False)
            except msgspec.ValidationError as error:
                raise InvalidResult(f"elicitation/create: the answer does not fit: {error}") from None
        return result


def prepare(exchange: Exchange, question: Question) -> Asked:
    """Check that this client may be asked this, and write the question for its revision. Raises ``RpcError``."""
    revision = exchange.revision
    capabilities = exchange.capabilities
    if isinstance(question, Elicit | ElicitUrl):
        return _prepare_elicitation(exchange, question, capabilities, revision)
    if isinstance(question, Sample):
        return _prepare_sampling(exchange, question, capabilities, revision)
    if isinstance(question, ListRoots):
        _need(exchange, type(capabilities.get("roots")) is dict, "roots", {"roots": {}})
        return Asked(question, question.method, {})
    raise UsageError(f"a question is Elicit, ElicitUrl, Sample or ListRoots, not {type(question).__name__}")


def _prepare_elicitation(
    exchange: Exchange, question: Elicit | ElicitUrl, capabilities: dict[str, Any], revision: Revision
) -> Asked:
    if not revision.elicitation:
        raise RpcError(codes.INVALID_REQUEST, f"{exchange.method}: revision {revision} has no elicitation")
    declared = capabilities.get("elicitation")
    modes: dict[str, Any] | None = declared if type(declared) is dict else None
    if isinstance(question, ElicitUrl):
        able = modes is not None and revision.url_elicitation and "url" in modes
        _need(exchange, able, "URL elicitation", {"elicitation": {"url": {}}})
        if not _is_url(question.url):
            raise UsageError("ctx.elicit_url: the url must be absolute, as in https://example.com/sign-in")
        params = question.params
        if revision.modern:
            params.pop("elicitationId", None)
        return Asked(question, question.method, params)
    # {} means forms (client/elicitation#capabilities)
    able = modes is not None and ("form" in modes or "url" not in modes)
    required: dict[str, Any] = {} if modes is None else {"form": {}}
    _need(exchange, able, "form elicitation", {"elicitation": required})
    schema = question.schema
    if not isinstance(schema, dict):
        from mcpcore.server.forms import form_schema

        schema = form_schema(schema)
    unfit = form_fault(schema)
    if unfit is not None:
        raise UsageError(f"ctx.elicit: {unfit}")
    params = {"message": question.message, "requestedSchema": schema}
    fault = elicitation_fits(params, revision)
    if fault is not None:
        raise RpcError(codes.INVALID_REQUEST, f"{exchange.method}: {fault}")
    return Asked(question, question.method, sieve("ElicitParams", params, revision))


def _is_url(url: str) -> bool:
    from urllib.parse import urlsplit  # slow to load, and few servers ask this way

    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and url.isprintable() and " " not in url


def _prepare_sampling(exchange: Exchange, question: Sample, capabilities: dict[str, Any], revision: Revision) -> Asked:
    declared = capabilities.get("sampling")
    _need(exchange, type(declared) is dict, "sampling", {"sampling": {}})
    assert type(declared) is dict
    params = question.params
    if "tools" in params or "toolChoice" in params:
        _need(exchange, "tools" in declared, "sampling with tools", {"sampling": {"tools": {}}})
    if params.get("includeContext", "none") != "none" and revision.url_elicitation and "context" not in declared:
        # 2025-11-25 and later: servers should not ask for it without sampling.context (client/sampling#capabilities).
        params.pop("includeContext")
    unfit = check_params(question.method, params, revision) or tool_loop_fault(params["messages"])
    if unfit is not None:
        raise UsageError(f"ctx.sample: {unfit}")
    fault = sampling_fits(params, revision)
    if fault is not None:
        raise RpcError(codes.INVALID_REQUEST, f"{exchange.method}: {fault}")
    return Asked(question, question.method, sieve("CreateMessageParams", params, revision))


def _need(exchange: Exchange, declared: bool, what: str, required: dict[str, Any]) -> None:
    if not declared:
        text = f"{exchange.method}: this needs a client with the {what} capability, which it did not declare"
        raise exchange.policy.missing_capability(text, required)
