"""The shapes of pydantic's models and types, made by pydantic itself.

pydantic is used where the program uses it, and never imported before. Its own rules decide what a model accepts, so a
model in its lax mode takes more than its schema says (``"3"`` for an int). Here live the shape, the clean-up of
pydantic's schema (references inlined, generated titles dropped), and the translation of its errors, which are rebuilt
from the error's kind, because their texts may hold the refused value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mcpcore.server.schema import Definitions, Mismatch, Schema, Shape

__all__ = ["dump", "is_pydantic", "pydantic_encoder", "pydantic_shape"]

# kind of error -> the member of its context that is the model's own, the keyword of JSON Schema, the words of an error
LIMITS = {
    "greater_than_equal": ("ge", "minimum", "at least {}"),
    "greater_than": ("gt", "exclusiveMinimum", "above {}"),
    "less_than_equal": ("le", "maximum", "at most {}"),
    "less_than": ("lt", "exclusiveMaximum", "below {}"),
    "multiple_of": ("multiple_of", "multipleOf", "a multiple of {}"),
    "string_too_short": ("min_length", "minLength", "length at least {}"),
    "string_too_long": ("max_length", "maxLength", "length at most {}"),
    "too_short": ("min_length", "minItems", "at least {} items"),
    "too_long": ("max_length", "maxItems", "at most {} items"),
    "string_pattern_mismatch": ("pattern", "pattern", "text matching {}"),
    "literal_error": ("expected", "enum", "{}"),
    "enum": ("expected", "enum", "{}"),
    "union_tag_invalid": ("expected_tags", "enum", "one of {}"),
}
# the first word of a kind of error -> the JSON type that was expected
TYPES = {
    "model": "object",
    "dataclass": "object",
    "dict": "object",
    "mapping": "object",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "string": "string",
    "none": "null",
}
SCHEMA_MEMBERS = ("properties", "$defs", "patternProperties", "dependentSchemas")
DATA_MEMBERS = ("default", "const", "enum", "examples")


def is_pydantic(hint: Any) -> bool:
    """Whether the hint is a pydantic model, dataclass or type, in a program that has loaded pydantic."""
    return "pydantic" in sys.modules and hasattr(hint, "__get_pydantic_core_schema__")


def pydantic_shape(hint: Any, mode: Literal["validation", "serialization"]) -> Shape:
    """The shape of anything that pydantic's ``TypeAdapter`` takes."""
    import pydantic

    adapter: Any = pydantic.TypeAdapter(hint)
    schema = adapter.json_schema(mode=mode)
    properties = schema.get("properties", {})

    def decode(value: Any) -> Any:
        if mode == "serialization":  # what pydantic wrote need not be what it would read
            return value
        try:
            return adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise _mismatch(error.errors(include_url=False, include_input=False)[0], schema, value) from None

    return Shape(
        kinds=_kinds(schema, schema.get("$defs", {})),
        expected=_expected(schema),
        decode=decode,
        emit=lambda definitions: _tidy(schema, definitions),
        members=frozenset(properties),
        hashable=getattr(hint, "__hash__", None) is not None,
        foreign=True,
    )


def pydantic_encoder(hint: Any) -> Callable[[Any], Any] | None:
    """Check a value against the hint and write it as JSON-able builtins, raising ``Mismatch``.

    None where pydantic cannot do that for the whole hint.
    """
    import pydantic

    try:
        adapter: Any = pydantic.TypeAdapter(hint)
        schema = adapter.json_schema(mode="serialization")
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation, TypeError):
        return None

    def encode(value: Any) -> Any:
        try:
            return adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
        except pydantic.ValidationError as error:
            raise _mismatch(error.errors(include_url=False, include_input=False)[0], schema, value) from None
        except (TypeError, ValueError, RecursionError):
            raise Mismatch(f"{_expected(schema)} that can be written as JSON", "type") from None

    return encode


def dump(value: Any) -> Any:
    """A pydantic value as JSON-able builtins. Raises TypeError for everything else."""
    if "pydantic" in sys.modules and hasattr(type(value), "__pydantic_serializer__"):
        return type(value).__pydantic_serializer__.to_python(value, mode="json", by_alias=True)
    raise TypeError(f"{type(value).__qualname__} has no form in JSON")


def _mismatch(error: Mapping[str, Any], schema: Schema, value: Any) -> Mismatch:
    """The first of pydantic's errors, in words that are the model's or ours."""
    kind = error["type"]
    if kind in LIMITS:
        name, keyword, words = LIMITS[kind]
        mismatch = Mismatch(words.format(error["ctx"][name]), keyword)
    elif kind == "missing":
        mismatch = Mismatch("a value", "required", "Missing")
    elif kind == "extra_forbidden":
        mismatch = Mismatch("only the members of its schema", "additionalProperties", "Unknown")
    elif kind in ("value_error", "assertion_error"):
        mismatch = Mismatch("a value that the model accepts", "not")
    else:
        mismatch = Mismatch(TYPES.get(kind.partition("_")[0]) or kind.replace("_", " "), "type")
    for step in reversed(_steps(error["loc"], value, _names(schema), kind)):
        mismatch.at(step)
    return mismatch


def _steps(location: Sequence[str | int], value: Any, ours: set[str], kind: str) -> list[str | int | None]:
    """The location without pydantic's labels for branches of a union, and with the peer's names left out."""
    steps: list[str | int | None] = []
    for step in location:
        if isinstance(value, dict) and step in value:
            value = value[step]
            steps.append(step if step in ours else None)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
            steps.append(step)
        elif kind == "missing" and step in ours:
            steps.append(step)
    return steps[:-1] if kind == "extra_forbidden" else steps


def _names(value: Any) -> set[str]:
    """All property names in a schema: these are ours to say, other names in a location came from the peer."""
    found: set[str] = set()
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "properties" and isinstance(item, dict):
                found |= set(item)
            found |= _names(item)
    elif isinstance(value, list):
        for item in value:
            found |= _names(item)
    return found


def _kinds(schema: Schema, definitions: Mapping[str, Schema]) -> frozenset[str]:
    if "$ref" in schema:
        return _kinds(definitions[schema["$ref"].removeprefix("#/$defs/")], {})
    types = schema.get("type")
    if types is not None:
        return frozenset([types] if isinstance(types, str) else types)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return frozenset().union(*(_kinds(item, definitions) for item in schema[keyword]))
    return frozenset({"string", "number", "boolean", "null", "object", "array"})


def _expected(schema: Schema) -> str:
    kinds = schema.get("type", "object")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _tidy(schema: Schema, definitions: Definitions) -> Schema:
    """pydantic's schema in our form: references are inlined, recursive types are defined, generated titles go."""
    sources = schema.get("$defs", {})

    def resolve(name: str) -> Schema:
        if definitions.inline and not _is_recursive(name, sources):
            return clean(sources[name], name)
        return definitions.reference(sources[name], name, lambda: clean(sources[name], name))

    def clean(value: Schema, name: str | None) -> Schema:
        definitions.count()
        result: Schema = {}
        for key, item in value.items():
            dropped = key in ("$defs", "discriminator") or (key == "title" and _is_generated(item, name))
            if not dropped:
                result[key] = _clean_member(key, item, clean)
        target = result.pop("$ref", None)
        return {**resolve(target.removeprefix("#/$defs/")), **result} if target else result

    return clean(schema, schema.get("title") if "properties" in schema else None)


def _clean_member(key: str, item: Any, clean: Callable[[Any, str | None], Any]) -> Any:
    if key in DATA_MEMBERS:
        return item
    if key in SCHEMA_MEMBERS:
        return {name: clean(one, name) if isinstance(one, dict) else one for name, one in item.items()}
    if isinstance(item, dict):
        return clean(item, None)
    if isinstance(item, list):
        return [clean(one, None) if isinstance(one, dict) else one for one in item]
    return item


def _is_generated(title: Any, name: str | None) -> bool:
    """Whether the title only repeats the name of the member or model, as pydantic makes them."""
    if not isinstance(title, str) or name is None:
        return False
    return title.replace(" ", "").lower() == name.replace("_", "").lower()


def _is_recursive(name: str, sources: Mapping[str, Schema]) -> bool:
    seen: set[str] = set()
    pending = [name]
    while pending:
        for target in _targets(sources[pending.pop()]):
            if target == name:
                return True
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return False


def _targets(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix("#/$defs/")} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_targets(item) for item in value.values()))
    return set().union(*(_targets(item) for item in value)) if isinstance(value, list) else set()
