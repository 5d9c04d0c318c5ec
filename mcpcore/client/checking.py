"""What a tool's result is worth: checked against the output schema, and decoded into what the caller asked for.

Only for tools that a ``tools/list`` of this client has shown; none is sent for this. Schemas are checked with the extra
``schema``; a ``$ref`` that leads out of the schema is never followed.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/tools#output-schema
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, NoReturn

import msgspec

from mcpcore.errors import InvalidResult, UsageError
from mcpcore.types import UNSET, Tool, ToolResult, from_wire

__all__ = ["OutputCheck", "ToolBook"]

log = logging.getLogger("mcpcore.client")

OutputCheck = Literal["warn", "strict", "off"]
_Validate = Callable[[Any], list[str]]

_WRAPPED = ("x-mcpcore-wrap-result", "x-fastmcp-wrap-result")
_MAX_ERRORS = 20
_MAX_SCHEMA_BYTES = 256 * 1024
"""Larger output schemas are not compiled: they come from somebody else, and compiling costs time and memory."""
_MAX_BACKTRACKING = 100_000
"""Steps of one pattern with look-around on one string; other patterns run in linear time."""


class ToolBook:
    """The tools that this client has seen listed, and what that says about their results."""

    def __init__(self, check: OutputCheck) -> None:
        if check not in ("warn", "strict", "off"):
            raise UsageError(f'output_check must be "warn", "strict" or "off", not {check!r}')
        self._check = check
        self._tools: dict[str, Tool] = {}
        self._validators: dict[str, _Validate | None] = {}
        self._complained: set[str] = set()

    def learn(self, tools: Iterable[Tool], *, whole: bool = False) -> None:
        """These tools were listed; ``whole`` says that there are no others."""
        known, self._tools = self._tools, {} if whole else self._tools
        for tool in tools:
            if known.get(tool.name) is not tool:
                self._validators.pop(tool.name, None)
            self._tools[tool.name] = tool

    def forget(self) -> None:
        """The list changed: what was known may be wrong now."""
        self._tools.clear()
        self._validators.clear()

    def get(self, name: str) -> Tool | None:
        """The tool as it was listed."""
        return self._tools.get(name)

    def may_repeat(self, name: str) -> bool:
        """Whether the tool's annotations say that calling it again does no harm."""
        tool = self._tools.get(name)
        hints = tool.annotations if tool is not None else None
        return hints is not None and (hints.read_only_hint is True or hints.idempotent_hint is True)

    def read(self, name: str, result: dict[str, Any], wanted: Any) -> ToolResult:
        """The typed result. Raises ``InvalidResult`` where its shape is wrong, or ``wanted`` does not fit."""
        try:
            read = from_wire(ToolResult, result)
        except InvalidResult as error:
            raise InvalidResult(f"tools/call {name}: {error}") from None
        if read.is_error:
            return read
        tool = self._tools.get(name)
        schema = tool.output_schema if tool is not None else None
        if schema is not None and self._check != "off":
            read.schema_errors = self._faults(name, schema, read.structured_content)
            if read.schema_errors and self._check == "strict":
                text = "; ".join(read.schema_errors)
                raise InvalidResult(
                    f"tools/call {name}: the structured content does not fit the tool's output schema: {text}"
                )
        if wanted is not None:
            read.data = _decoded(name, read, wanted)
        elif read.structured_content is not UNSET:
            read.data = _unwrapped(schema, read.structured_content)
        return read

    def _faults(self, name: str, schema: dict[str, Any], content: Any) -> list[str]:
        if content is UNSET:
            faults = ["structuredContent: missing, although the tool has an output schema"]
        else:
            if name not in self._validators:
                self._validators[name] = self._compile(name, schema)
            validate = self._validators[name]
            faults = validate(content) if validate is not None else []
        if faults and self._check == "warn" and name not in self._complained:
            self._complained.add(name)
            log.warning("tools/call %s: the result does not fit the tool's output schema: %s", name, "; ".join(faults))
        return faults

    def _compile(self, name: str, schema: dict[str, Any]) -> _Validate | None:
        try:
            import jsonschema_rs
        except ImportError:
            _say_once("results are not checked against output schemas: that needs the extra mcpcore[schema]")
            return None
        try:
            if len(msgspec.json.encode(schema)) > _MAX_SCHEMA_BYTES:
                raise ValueError(f"it is larger than {_MAX_SCHEMA_BYTES} bytes")
            validator = jsonschema_rs.validator_for(
                schema,
                retriever=_no_retrieval,
                mask="the value",
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_BACKTRACKING),
            )
        except Exception as error:  # the schema is the server's: whatever is wrong with it
            # Said of every result: a schema with an unresolved reference must not pass for one that admits everything.
            text = f"outputSchema: it cannot be used: {str(error).splitlines()[0][:200]}"
            return lambda content: [text]
        return lambda content: _described(validator.iter_errors(content))


def _no_retrieval(uri: str) -> NoReturn:
    raise ValueError(f"it refers to {uri[:100]}, which is not fetched")


def _described(errors: Iterable[Any]) -> list[str]:
    """Path and expectation of each fault; a value is never repeated (it is masked)."""
    found: list[str] = []
    for error in errors:
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        found.append(f"structuredContent{path}: {error.message[:300]}")
        if len(found) == _MAX_ERRORS:
            break
    return found


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        log.warning("%s", text)


def _unwrapped(schema: dict[str, Any] | None, content: Any) -> Any:
    """Servers wrap what is no object as ``{"result": ...}``, for revisions that allow objects only, and say so."""
    wrapped = schema is not None and any(schema.get(mark) is True for mark in _WRAPPED)
    return content["result"] if wrapped and isinstance(content, dict) and "result" in content else content


def _decoded(name: str, result: ToolResult, wanted: Any) -> Any:
    """The structured content as ``wanted``; without any, the text: as it is for ``str``, else as JSON."""
    content = result.structured_content
    try:
        if content is UNSET:
            return result.text if wanted is str else _convert(msgspec.json.decode(result.text), wanted)
        try:
            return _convert(content, wanted)
        except ValueError:
            if isinstance(content, dict) and list(content) == ["result"]:
                return _convert(content["result"], wanted)
            raise
    except ValueError as error:
        kind = getattr(wanted, "__name__", str(wanted))
        reason = str(error).splitlines()[0][:300] if isinstance(error, msgspec.MsgspecError) else type(error).__name__
        raise InvalidResult(f"tools/call {name}: the result cannot be read as {kind}: {reason}") from None


def _convert(content: Any, wanted: Any) -> Any:
    """pydantic is recognised by its method, so that it is imported only by who uses it."""
    validate = getattr(wanted, "model_validate", None)
    return msgspec.convert(content, wanted) if validate is None else validate(content)
