"""What a docstring says about parameters: Google's ``Args:``, NumPy's ``Parameters``, Sphinx's ``:param x:``.

Here a docstring is split into its text and the descriptions of the parameters. Nothing is rendered, and a docstring in
no known style is all text.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

__all__ = ["Docstring", "member_descriptions", "read_docstring"]

# Patterns are texts: most docstrings have no list of parameters, and ``re`` keeps what it has compiled.
NUMPY = frozenset({"Parameters", "Other Parameters", "Attributes"})
GOOGLE = frozenset(f"{name}:" for name in (*NUMPY, "Args", "Arguments", "Keyword Args", "Keyword Arguments", "Params"))
SPHINX = r"^:(?:param|parameter|arg|argument|key|keyword|ivar|cvar|var|attr)\s+(?:[^:]*?\s)?\*{0,2}(\w+)\s*:\s*(.*)$"
SPHINX_FIELD = r"^:[a-z]+[^:]*:"
GOOGLE_ENTRY = r"^\*{0,2}(\w+)\s*(?:\([^)]*\)|\[[^]]*\])?\s*:\s*(.*)$"
NUMPY_ENTRY = r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$"


class Docstring(msgspec.Struct):
    """``text`` is the docstring without the descriptions of parameters, which are in ``parameters`` by name."""

    text: str = ""
    parameters: dict[str, str] = msgspec.field(default_factory=dict)


def read_docstring(docstring: str | None) -> Docstring:
    """Split a docstring. Never fails: what is not understood is text."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    found: dict[str, str] = {}
    text: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.rstrip() in GOOGLE and _indent(_next(lines, at)) > 0:
            at = _google(lines, at + 1, found)
        elif line.rstrip() in NUMPY and at + 1 < len(lines) and _is_rule(lines[at + 1]):
            at = _numpy(lines, at + 2, found)
        elif line.startswith(":") and re.match(SPHINX, line):
            at = _sphinx(lines, at, found)
        else:
            text.append(line)
            at += 1
    described = {name: one for name, one in found.items() if one}
    return Docstring(re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip(), described)


def _is_rule(line: str) -> bool:
    return len(line.rstrip()) >= 3 and not line.rstrip().strip("-")


def member_descriptions(cls: Any) -> dict[str, str]:
    """What a class's own docstring says about its members."""
    return read_docstring(cls.__dict__.get("__doc__")).parameters


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 0


def _next(lines: list[str], at: int) -> str:
    return next((line for line in lines[at + 1 :] if line.strip()), "")


def _google(lines: list[str], at: int, found: dict[str, str]) -> int:
    """Entries are indented equally; what is indented more continues the one above."""
    base = _indent(_next(lines, at - 1))
    name = ""
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) >= base):
        entry = re.match(GOOGLE_ENTRY, lines[at].strip()) if _indent(lines[at]) == base else None
        if entry:
            name = entry[1]
            found[name] = entry[2].strip()
        elif name:
            found[name] = f"{found[name]} {lines[at].strip()}".strip()
        at += 1
    return at


def _numpy(lines: list[str], at: int, found: dict[str, str]) -> int:
    """Entries stand at the margin, their descriptions are indented; a heading with its rule ends the section."""
    names: list[str] = []
    while at < len(lines):
        line = lines[at]
        if at + 1 < len(lines) and _is_rule(lines[at + 1]):
            break
        if _indent(line) == 0 and line.strip():
            entry = re.match(NUMPY_ENTRY, line)
            if not entry or (not lines[at - 1].strip() and not _indent(_next(lines, at))):
                break
            names = [name.strip().lstrip("*") for name in entry[1].split(",")]
            found.update(dict.fromkeys(names, ""))
        else:
            found.update({name: f"{found[name]} {line.strip()}".strip() for name in names})
        at += 1
    return at


def _sphinx(lines: list[str], at: int, found: dict[str, str]) -> int:
    """A field and its continuation: indented lines."""
    entry = re.match(SPHINX, lines[at])
    assert entry is not None, "called at a field"
    name = entry[1]
    found[name] = entry[2].strip()
    at += 1
    while at < len(lines) and _indent(lines[at]) > 0 and not re.match(SPHINX_FIELD, lines[at].strip()):
        found[name] = f"{found[name]} {lines[at].strip()}".strip()
        at += 1
    return at
