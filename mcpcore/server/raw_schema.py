"""Schemas that somebody wrote by hand: their dialect, their limits, and a validator whose errors name no value.

jsonschema-rs does the validation and is imported when the first such schema is registered. It never fetches anything:
a reference that leads out of the schema is refused here. How a function is called with arguments that a raw schema
admits is decided in ``signature.py``.
<https://modelcontextprotocol.io/specification/2026-07-28/basic/index#json-schema-usage>
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.containers import listed
from mcpcore.server.schema import Mismatch, Schema

__all__ = ["Validate", "property_types", "validator"]

MAX_SCHEMA_DEPTH = 100
"""Levels of nesting in one schema; real ones have five."""
MAX_SUBSCHEMAS = 10_000
"""Objects and arrays in one schema: compiling it costs microseconds for each."""
MAX_VALUE_DEPTH = 1_000
"""Levels of a value whose schema may follow it down: the validator recurses, and its stack ends at some thousands."""
MAX_BACKTRACKING = 100_000
"""Steps of one pattern with look-around or back-references on one string; other patterns run in linear time."""

DIALECTS = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
    "http://json-schema.org/draft-06/schema": "Draft6Validator",
    "http://json-schema.org/draft-04/schema": "Draft4Validator",
}
DEFAULT_DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Validate = Callable[[Any], None]
"""Raises ``Mismatch`` for a value that the schema does not admit."""

# kind of error (the class's name in jsonschema-rs) -> keyword and words, with the kind's own limit filled in
LIMITS = {
    "Minimum": ("minimum", "at least {}"),
    "Maximum": ("maximum", "at most {}"),
    "ExclusiveMinimum": ("exclusiveMinimum", "above {}"),
    "ExclusiveMaximum": ("exclusiveMaximum", "below {}"),
    "MinLength": ("minLength", "at least {} characters"),
    "MaxLength": ("maxLength", "at most {} characters"),
    "MinItems": ("minItems", "at least {} items"),
    "MaxItems": ("maxItems", "at most {} items"),
    "MinProperties": ("minProperties", "at least {} members"),
    "MaxProperties": ("maxProperties", "at most {} members"),
    "MultipleOf": ("multipleOf", "a multiple of {}"),
    "Pattern": ("pattern", "text matching {}"),
    "Format": ("format", "the format {}"),
    "Constant": ("const", "{}"),
    "ContentEncoding": ("contentEncoding", "text in {}"),
    "ContentMediaType": ("contentMediaType", "{}"),
}
LIMIT_NAMES = ("limit", "multiple_of", "pattern", "format", "content_encoding", "content_media_type")
PLAIN = {
    "UniqueItems": ("uniqueItems", "an array without duplicates"),
    "Contains": ("contains", "an array with an item that its schema asks for"),
    "AnyOf": ("anyOf", "a value that fits one of the alternatives"),
    "OneOfNotValid": ("oneOf", "a value that fits one of the alternatives"),
    "OneOfMultipleValid": ("oneOf", "a value that fits exactly one of the alternatives"),
    "Not": ("not", "a value that does not fit what the schema excludes"),
    "FalseSchema": ("false", "no value here"),
    "PropertyNames": ("propertyNames", "members with other names"),
    "AdditionalItems": ("additionalItems", "no further items"),
    "UnevaluatedItems": ("unevaluatedItems", "no further items"),
    "UnevaluatedProperties": ("unevaluatedProperties", "no further members"),
    "BacktrackLimitExceeded": ("pattern", "text that its pattern can be matched against"),
}


def validator(schema: Any, what: str) -> Validate:
    """Compile a schema. ``what`` names it in errors: ``input_schema of tool x``.

    Raises ``UsageError``: no jsonschema-rs, an unsupported dialect, a schema that is invalid, too large, or refers to
    something outside itself.
    """
    if not isinstance(schema, dict):
        raise UsageError(f"{what}: a JSON Schema is a dict, not {type(schema).__name__}")
    _check_size(schema, what)
    compiled = _compile(schema, what)
    ours = frozenset(name for properties in _properties(schema) for name in properties)

    recursive = _has_references(schema)

    def validate(value: Any) -> None:
        if recursive and _is_deeper(value, MAX_VALUE_DEPTH):
            raise Mismatch(f"a value of at most {MAX_VALUE_DEPTH} levels", "maxDepth")
        try:
            if compiled.is_valid(value):
                return
            error = next(iter(compiled.iter_errors(value)))
        except (ValueError, RecursionError, StopIteration):
            raise Mismatch("a JSON value within the limits of the validator", "type") from None
        raise _mismatch(error, schema, ours)

    return validate


def _compile(schema: Schema, what: str) -> Any:
    try:
        import jsonschema_rs
    except ImportError:
        text = "schemas written by hand need jsonschema-rs; pip install mcpcore[schema]"
        raise UsageError(f"{what}: {text}") from None
    dialect = schema.get("$schema", DEFAULT_DIALECT)
    name = DIALECTS.get(dialect.rstrip("#")) if isinstance(dialect, str) else None
    if name is None:
        supported = ", ".join(DIALECTS)
        raise UsageError(f"{what}: the dialect {dialect!r} is not supported; the supported ones are {supported}")
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING)
    try:
        return getattr(jsonschema_rs, name)(schema, retriever=_retrieve_nothing, pattern_options=options)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise UsageError(f"{what}: {_why(error)}") from None
    except ValueError as error:  # a value that is not JSON
        raise UsageError(f"{what}: {error}") from None


def _retrieve_nothing(uri: str) -> NoReturn:
    raise ValueError(f"nothing is fetched for a $ref; put what {uri} holds into $defs")


def _why(error: Exception) -> str:
    message = str(getattr(error, "message", error))
    path = "/".join(str(step) for step in getattr(error, "instance_path", []))
    return f"the schema is not valid at {path}: {message}" if path else f"the schema is not valid: {message}"


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """Every object and array in a JSON value, with its depth."""
    pending = [(value, 1)]
    while pending:
        one, depth = pending.pop()
        if isinstance(one, dict | list):
            yield one, depth
            pending += [(item, depth + 1) for item in (one.values() if isinstance(one, dict) else one)]


def _is_deeper(value: Any, limit: int) -> bool:
    return any(depth > limit for _, depth in _parts(value))


def _check_size(schema: Schema, what: str) -> None:
    for count, (_, depth) in enumerate(_parts(schema), start=1):
        if count > MAX_SUBSCHEMAS or depth > MAX_SCHEMA_DEPTH:
            limits = f"{MAX_SUBSCHEMAS} parts and {MAX_SCHEMA_DEPTH} levels"
            raise UsageError(f"{what}: the schema is too large; the limits are {limits}")


def _has_references(schema: Schema) -> bool:
    return any(not part.keys().isdisjoint(REFERENCES) for part, _ in _parts(schema) if isinstance(part, dict))


def _properties(schema: Schema) -> Iterator[Mapping[str, Any]]:
    """Every ``properties`` of the schema: it says these names itself, all other names in a path are the peer's."""
    for part, _ in _parts(schema):
        if isinstance(part, dict) and isinstance(part.get("properties"), dict):
            yield part["properties"]


def _known_members(schema: Any, path: Sequence[str | int]) -> str:
    """The names that the subschema at ``path`` knows, where no reference is in the way."""
    try:
        for step in path:
            schema = schema[step]
        return f"only the members {listed(list(schema['properties']))}"
    except (KeyError, IndexError, TypeError):
        return "only the members of its schema"


def _mismatch(error: Any, schema: Schema, ours: frozenset[str]) -> Mismatch:
    """What went wrong, from the kind of the error and the limits of the schema; its message may hold the value."""
    kind = error.kind
    name = type(kind).__name__.rpartition("_")[2]
    steps = list(error.instance_path)
    if name == "Type":
        mismatch = Mismatch(" or ".join(kind.types), "type")
    elif name == "Required":
        mismatch = Mismatch("a value", "required", "Missing").at(kind.property)
    elif name == "AdditionalProperties":
        mismatch = Mismatch(_known_members(schema, error.schema_path[:-1]), "additionalProperties", "Unknown")
    elif name == "Enum":
        mismatch = Mismatch(f"one of {_written(kind.options)}", "enum")
    elif name in LIMITS:
        keyword, words = LIMITS[name]
        limit = _written([kind.expected_value]) if name == "Constant" else _limit(kind)
        mismatch = Mismatch(words.format(limit), keyword)
    else:
        keyword, words = PLAIN.get(name, (name[:1].lower() + name[1:], "a value that the schema admits"))
        mismatch = Mismatch(words, keyword)
    for step in reversed(steps):
        mismatch.at(step if isinstance(step, int) or step in ours else None)
    return mismatch


def _limit(kind: Any) -> Any:
    return next(getattr(kind, name) for name in LIMIT_NAMES if hasattr(kind, name))


def _written(values: Sequence[Any]) -> str:
    return listed([msgspec.json.encode(value).decode() for value in values])


def property_types(schema: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The JSON types that each property of the root says, for those that say it plainly."""
    properties = schema.get("properties")
    found: dict[str, frozenset[str]] = {}
    for name, member in properties.items() if isinstance(properties, dict) else ():
        types = member.get("type") if isinstance(member, dict) else None
        if isinstance(types, str):
            found[name] = frozenset({types})
        elif isinstance(types, list):
            found[name] = frozenset(one for one in types if isinstance(one, str))
    return found
