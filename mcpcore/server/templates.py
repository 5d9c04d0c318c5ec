"""URI templates (RFC 6570): values become a URI, and a URI becomes the values again.

Here live the template language, both directions, and ``is_unsafe_path`` for values that name files. Which resource a
template stands for, and what happens when nothing matches, is not decided here.

Expansion is the RFC's, all four levels. The RFC leaves matching to the implementation; these are the rules here:

- A template matches if any assignment of the values gives the URI. Of several, the first value takes as few characters
  as the rest allows, then the second, and so on: ``{a}-{b}`` matches ``x-y-z`` as ``a="x"``, ``b="y-z"``.
- Literals are compared exactly, scheme and host too. Characters outside ASCII are compared percent-encoded (UTF-8).
- ``{a}``, ``{.a}``, ``{/a}`` and ``{;a}`` never match a bare ``/``, ``?`` or ``#``; ``{/a*}`` runs over ``/``; ``{?a}``
  and ``{&a}`` end at ``#``; ``{+a}`` and ``{#a}`` match everything.
- A value outside ``{;a}``, ``{?a}`` and ``{&a}`` must be there and not be empty, nor may an item of a list there: a
  handler never has to ask what an empty name stands for.
- The parameters of ``{;a}``, ``{?a}`` and ``{&a}`` may be missing, empty, and in any order; an unknown parameter, or a
  second value without ``*``, is no match. A ``+`` in a query is a plus sign.
- Values are percent-decoded once; a bad escape or bytes that are not UTF-8 are no match.
- A value with ``*`` comes back as a list, any other as one string, also where a list was expanded without ``*``.
- ``{a:3}`` matches at most three characters. Lengths, list items and the names of parameters are looked at last and
  change no other choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from mcpcore.errors import UsageError

__all__ = ["Template", "expand", "is_unsafe_path"]

Value = str | Sequence[str] | Mapping[str, str]
Values = dict[str, str | list[str]]

_RESERVED = ":/?#[]@!$&'()*+,;="
_ASCII = "".join(map(chr, range(128)))
_NAME = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})"
_VARIABLE = re.compile(rf"({_NAME}(?:\.?{_NAME})*)(?:(\*)|:([1-9][0-9]{{0,3}}))?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NO_LITERAL = re.compile(rf'[\x00-\x20"<>\\^`{{|}}\x7f\ud800-\udfff]|{_BAD_PERCENT.pattern}')


class _Operator(NamedTuple):
    """One row of the table in RFC 6570, appendix A, and the characters at which a matched value ends."""

    first: str
    separator: str
    named: bool
    if_empty: str
    safe: str
    stop: str


_OPERATORS = {
    "": _Operator("", ",", False, "", "", "/?#"),
    "+": _Operator("", ",", False, "", _RESERVED + "%", ""),
    "#": _Operator("#", ",", False, "", _RESERVED + "%", ""),
    ".": _Operator(".", ".", False, "", "", "/?#"),
    "/": _Operator("/", "/", False, "", "", "/?#"),
    ";": _Operator(";", ";", True, "", "", "/?#"),
    "?": _Operator("?", "&", True, "=", "", "#"),
    "&": _Operator("&", "&", True, "=", "", "#"),
}


class _Variable(NamedTuple):
    name: str
    explode: bool
    prefix: int | None


class _Expression(NamedTuple):
    operator: _Operator
    variables: tuple[_Variable, ...]


def _parse(text: str) -> list[str | _Expression]:
    """The literals, percent-encoded, and the expressions of a template, in order. Raises UsageError."""
    parts: list[str | _Expression] = []
    for index, piece in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if index % 2:
            parts.append(_parse_expression(piece, text))
        elif bad := _NO_LITERAL.search(piece):
            raise UsageError(f"the URI template {text!r} has a stray {bad[0]!r}: percent-encode it or close the brace")
        elif piece:
            parts.append(quote(piece, safe=_RESERVED + "%"))
    return parts


def _parse_expression(piece: str, text: str) -> _Expression:
    operator = piece[:1] if piece[:1] in _OPERATORS else ""
    variables = []
    for spec in piece[len(operator) :].split(","):
        found = _VARIABLE.fullmatch(spec)
        if found is None:
            raise UsageError(f"the URI template {text!r} has no valid variable in {{{piece}}} (RFC 6570, section 2.3)")
        variables.append(_Variable(found[1], found[2] is not None, int(found[3]) if found[3] else None))
    return _Expression(_OPERATORS[operator], tuple(variables))


def expand(text: str, values: Mapping[str, Value]) -> str:
    """Expand any well-formed template, also one that :class:`Template` refuses because it cannot be matched.

    A missing variable, an empty list and an empty dict are undefined and leave nothing behind. Raises UsageError for a
    malformed template and for a list or dict under a prefix such as ``{a:3}``.
    """
    return "".join(part if isinstance(part, str) else _expand_expression(part, values) for part in _parse(text))


def _expand_expression(expression: _Expression, values: Mapping[str, Value]) -> str:
    operator = expression.operator
    defined = [variable for variable in expression.variables if variable.name in values]
    texts = [text for variable in defined for text in _expand_variable(operator, variable, values[variable.name])]
    return operator.first + operator.separator.join(texts) if texts else ""


def _expand_variable(operator: _Operator, variable: _Variable, value: Value) -> list[str]:
    """What one variable adds between the operator's separators; nothing where it counts as undefined."""
    if isinstance(value, str):
        return [_named(operator, variable.name, _encode(operator, value[: variable.prefix]))]
    if variable.prefix is not None:
        raise UsageError(f"the variable {variable.name!r} has a prefix length, so its value must be a string")
    if isinstance(value, Mapping):
        pairs = [(_encode(operator, key), _encode(operator, item)) for key, item in value.items()]
        if variable.explode:
            return [_named(operator, *pair) if operator.named else "=".join(pair) for pair in pairs]
        items = [text for pair in pairs for text in pair]
    else:
        items = [_encode(operator, item) for item in value]
        if variable.explode:
            return [_named(operator, variable.name, item) for item in items]
    return [_named(operator, variable.name, ",".join(items))] if items else []


def _named(operator: _Operator, name: str, text: str) -> str:
    if not operator.named:
        return text
    return f"{name}={text}" if text else name + operator.if_empty


def _encode(operator: _Operator, value: str) -> str:
    # "+" and "#" let escapes in the value through (RFC 6570, section 3.2.1), but not a percent sign that is none.
    return quote(_BAD_PERCENT.sub("%25", value) if operator.safe else value, safe=operator.safe)


# Matching works on sets of places in the URI, held as integers: a place is the bit whose number is its distance from
# the end. One step to the left is then a shift, and running left over any number of allowed characters is one addition,
# whose carry does the running. So a token finds all its possible starts in a few passes over the URI, whatever the URI
# is: nothing is tried and taken back, as the backtracking of a regular expression would (CVE-2026-0621).

_Marks = Callable[[bytes], int]
"""From a table of characters to the places right behind each such character."""


def _table(marked: Callable[[str], bool]) -> bytes:
    """For ``bytes.translate``: the digit 1 for a marked character, 0 for any other."""
    return bytes(b"01"[marked(chr(code))] for code in range(256))


def _run(places: int, marks: int) -> int:
    """The given places, and all that lie any number of marked characters left of them."""
    return (((places & marks) + marks) ^ marks) | places


class _Literal:
    def __init__(self, text: str) -> None:
        self.text = text
        self.least = len(text)
        self._tables = [_table(character.__eq__) for character in reversed(text)]

    def starts(self, marks: _Marks, ends: int) -> int:
        """The places where this token can begin when it must end at one of ``ends``."""
        for table in self._tables:
            ends = (ends & marks(table)) << 1
        return ends

    def take(self, text: str, values: Values) -> bool:
        """Put what the text says into ``values``. False: it cannot be a text of this token after all."""
        return True


class _Slot:
    """One value: at least one character, none at which the operator stops."""

    least = 1

    def __init__(self, variable: _Variable, operator: _Operator) -> None:
        self.variable = variable
        self._separator = operator.separator
        stop = operator.stop.replace("/", "") if variable.explode and operator.separator == "/" else operator.stop
        self._table = _table(lambda character: character not in stop)

    def starts(self, marks: _Marks, ends: int) -> int:
        allowed = marks(self._table)
        return _run((ends & allowed) << 1, allowed)

    def take(self, text: str, values: Values) -> bool:
        name, explode, prefix = self.variable
        if explode:
            values[name] = _decode(text, self._separator)
            return "" not in values[name]
        values[name] = value = _decode(text)[0]
        return prefix is None or len(value) <= prefix


class _Parameters:
    """``{;a}``, ``{?a}`` or ``{&a}`` and what continues it: nothing at all, or the first character and parameters."""

    least = 0

    def __init__(self, operator: _Operator, variables: tuple[_Variable, ...]) -> None:
        self.operator = operator
        self.variables = variables
        self._first = _table(operator.first.__eq__)
        self._table = _table(lambda character: character not in operator.stop)

    def starts(self, marks: _Marks, ends: int) -> int:
        return ends | (_run(ends, marks(self._table)) & marks(self._first)) << 1

    def take(self, text: str, values: Values) -> bool:
        known = {variable.name: variable for variable in self.variables}
        for parameter in text[1:].split(self.operator.separator) if text else ():
            name, _, raw = parameter.partition("=")
            if name not in known or (name in values and not known[name].explode):
                return False
            value = _decode(raw)[0]
            if len(value) > (known[name].prefix or len(value)):
                return False
            so_far = values.setdefault(name, [] if known[name].explode else value)
            if isinstance(so_far, list):
                so_far.append(value)
        return True


def _decode(text: str, separator: str = "") -> list[str]:
    """The decoded values of a text. Raises UnicodeDecodeError for a malformed escape and for what is not UTF-8."""
    if "%" not in text:
        return text.split(separator) if separator else [text]
    # One pass for all escapes and values: urllib.parse takes them one by one, many times as long, and lets malformed
    # ones through. U+0100 is no byte, so it stands for the separator only.
    escaped = text.replace("\\", "%5C").replace("%", "\\x")
    if separator:
        escaped = escaped.replace(separator, "\\u0100")
    octets = escaped.encode("ascii").decode("unicode_escape").split("\u0100")
    return [item.encode("latin-1").decode("utf-8") for item in octets]


_Token = _Literal | _Slot | _Parameters


def _tokens(part: str | _Expression) -> Iterator[_Token]:
    if isinstance(part, str):
        yield _Literal(part)
    elif part.operator.named:
        yield _Parameters(*part)
    else:
        for index, variable in enumerate(part.variables):
            if between := part.operator.separator if index else part.operator.first:
                yield _Literal(between)
            yield _Slot(variable, part.operator)


def _compile(parts: list[str | _Expression], text: str) -> list[_Token]:
    """The tokens of a template, joined where they continue each other. Raises UsageError where a border is missing."""
    tokens: list[_Token] = []
    for token in (token for part in parts for token in _tokens(part)):
        last = tokens[-1] if tokens else None
        if isinstance(token, _Literal):
            if isinstance(last, _Literal):
                tokens.pop()
                token = _Literal(last.text + token.text)
        elif isinstance(token, _Slot) and isinstance(last, _Slot | _Parameters):
            name = token.variable.name
            raise UsageError(f"the URI template {text!r} cannot be matched: put a literal in front of {name!r}")
        elif isinstance(token, _Parameters) and isinstance(last, _Parameters):
            if token.operator.first == last.operator.separator:
                tokens.pop()
                token = _Parameters(last.operator, last.variables + token.variables)
            elif last.operator.first != ";":
                raise UsageError(f"the URI template {text!r} cannot be matched: continue the query with {{&...}}")
        tokens.append(token)
    return tokens


class Template:
    """A URI template (RFC 6570) that can be matched: ``Template("db://{table}/{id}{?fields*}")``.

    ``variables`` are the names in order of appearance, ``optional`` those that a match may lack. Raises UsageError for
    a malformed template, a variable that occurs twice, two values with nothing between them (``{a}{b}``) and a second
    ``{?...}``. Specification: server/resources#resource-templates.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parts = _parse(text)
        found = [(each.name, part[0].named) for part in parts if not isinstance(part, str) for each in part.variables]
        self.variables: tuple[str, ...] = tuple(name for name, _ in found)
        self.optional: frozenset[str] = frozenset(name for name, named in found if named)
        if twice := [name for name in self.variables if self.variables.count(name) > 1]:
            raise UsageError(f"the URI template {text!r} names the variable {twice[0]!r} twice: rename one of them")
        tokens = _compile(parts, text)
        self._head = self._tail = ""
        if tokens and isinstance(tokens[0], _Literal):
            self._head = tokens[0].text
            del tokens[0]
        if tokens and isinstance(tokens[-1], _Literal):
            self._tail = tokens[-1].text
            del tokens[-1]
        self._tokens = tokens

    def expand(self, values: Mapping[str, Value]) -> str:
        """The URI for these values, see :func:`expand`."""
        return expand(self.text, values)

    def match(self, uri: str) -> Values | None:
        """The decoded values that give this URI, or None. The time grows linearly with the length of the URI.

        A variable with ``*`` gives a list of strings, another one a string; those in ``optional`` may be missing.
        Nothing is screened: a value may hold ``..``, ``/`` or NUL, see :func:`is_unsafe_path`.
        """
        try:
            if not uri.isascii():
                uri = quote(uri, safe=_ASCII)
            start, end = len(self._head), len(uri) - len(self._tail)
            if start > end or not (uri.startswith(self._head) and uri.endswith(self._tail)):
                return None
            return self._take(uri[start:end])
        except UnicodeError:  # a malformed escape, bytes that are not UTF-8, or half of a surrogate pair
            return None

    def _take(self, text: str) -> Values | None:
        """Cut the text into tokens: from the right, where each can begin; then from the left, the nearest ends."""
        data = text.encode("ascii")
        marks = cache(lambda table: int(b"0" + data.translate(table), 2))
        places = [1]
        for token in reversed(self._tokens):
            places.append(token.starts(marks, places[-1]))
        values: Values = {}
        here = len(text)
        if not places.pop() >> here & 1:
            return None
        for token in self._tokens:
            there = (places.pop() & ((2 << here - token.least) - 1)).bit_length() - 1
            if not token.take(text[len(text) - here : len(text) - there], values):
                return None
            here = there
        return values


def is_unsafe_path(value: str) -> bool:
    """True when a value, used as a path below some directory, could leave it or confuse the file system.

    That is: a ``..`` segment, an absolute path, a drive letter, a backslash or NUL, plain or behind up to three more
    layers of percent-encoding; and more layers than that. Symbolic links are the caller's: resolve, then compare.
    """
    for _ in range(4):
        if value.startswith("/") or "\\" in value or "\0" in value or re.match(r"[A-Za-z]:", value):
            return True
        if any(segment.strip() == ".." for segment in value.split("/")):
            return True
        decoded = unquote(value)
        if decoded == value:
            return False
        value = decoded
    return True
