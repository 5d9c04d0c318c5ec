"""``mcpcore probe``: which era and revisions a server speaks, what it can do, how long it takes.

A modern server lists its revisions, as far as it likes. What it does not list is tried, each revision in a connection
of its own and one after the other: a server may not like to run twice at once.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mcpcore.cli import render
from mcpcore.errors import McpError, UnsupportedRevision
from mcpcore.spec.revisions import ALL, BY_NAME, LATEST_LEGACY, LEGACY

if TYPE_CHECKING:
    from mcpcore import Client
    from mcpcore.cli.session import Output

__all__ = ["probe"]

_ROUND_TRIPS = 5
_LABELS = 14
"""Characters of the left column."""


async def probe(target: Any, options: dict[str, Any], output: Output) -> int:
    """Connect as any client would, then try what is not known yet; with ``--revision`` only that one."""
    from mcpcore import Client
    from mcpcore.types import to_wire

    began = perf_counter()
    async with Client(target, **options) as client:
        connected = perf_counter() - began
        round_trips = [await _round_trip(client) for _ in range(_ROUND_TRIPS)]
        revision, info = str(client.revision), client.server_info
        listed = await _listed(client) if BY_NAME[revision].modern else set()
        found: dict[str, Any] = {
            "serverInfo": None if info is None else to_wire(info),
            "capabilities": to_wire(client.server_capabilities),
            "instructions": client.instructions,
        }
    speaks = {revision} | listed
    if "revisions" not in options:
        speaks |= await _tried(target, options, speaks)
    known = [one.name for one in ALL if one.name in speaks]
    eras = {BY_NAME[name].modern for name in known}
    found |= {
        "era": "dual-era" if len(eras) > 1 else "modern" if True in eras else "legacy",
        "revision": revision,
        "revisions": known + sorted(speaks.difference(known)),
        "connectSeconds": round(connected, 6),
        "roundTripSeconds": {"median": round(median(round_trips), 6), "fastest": round(min(round_trips), 6)},
    }
    if output.as_json:
        output.document(found)
    else:
        output.text(_text(render.identity(info), found))
    return 0


async def _round_trip(client: Client) -> float:
    began = perf_counter()
    await client.ping()
    return perf_counter() - began


async def _listed(client: Client) -> set[str]:
    result = await client.request("server/discover", {})
    versions = result.get("supportedVersions")
    return {version for version in versions if isinstance(version, str)} if isinstance(versions, list) else set()


async def _tried(target: Any, options: dict[str, Any], known: set[str]) -> set[str]:
    """The legacy revisions that a handshake for each of them brings about."""
    found: set[str] = set()
    if LATEST_LEGACY.name not in known:
        found = await _handshake(target, options, LATEST_LEGACY.name)
        if not found:
            return found
    for revision in reversed(LEGACY[:-1]):
        if revision.name not in known | found:
            found |= await _handshake(target, options, revision.name)
    return found


async def _handshake(target: Any, options: dict[str, Any], revision: str) -> set[str]:
    """The revision that a server agrees to where it is asked for this one; none where it refuses."""
    from mcpcore import Client

    try:
        async with Client(target, **{**options, "revisions": revision}):
            return {revision}
    except UnsupportedRevision as error:
        return {name for name in error.offered if name in BY_NAME}
    except McpError:
        return set()


def _text(name: str, found: dict[str, Any]) -> str:
    trip = found["roundTripSeconds"]
    rows = [
        ("server", name),
        ("era", found["era"]),
        ("revisions", ", ".join(found["revisions"])),
        ("spoken now", found["revision"]),
        ("capabilities", ", ".join(_capability(*item) for item in found["capabilities"].items()) or "none"),
        ("connected in", f"{found['connectSeconds'] * 1000:.1f} ms"),
        (
            "round trip",
            f"{trip['median'] * 1000:.2f} ms (median of {_ROUND_TRIPS}), {trip['fastest'] * 1000:.2f} ms at best",
        ),
    ]
    if found["instructions"]:
        rows.append(("instructions", found["instructions"]))
    indent = "\n" + " " * _LABELS
    return "\n".join(f"{name:<{_LABELS}}{indent.join(value.strip().split(chr(10)))}" for name, value in rows)


def _capability(name: str, settings: Any) -> str:
    """``resources (subscribe, listChanged)``."""
    on = [member for member, value in settings.items() if value] if isinstance(settings, dict) else []
    return f"{name} ({', '.join(on)})" if on else name
