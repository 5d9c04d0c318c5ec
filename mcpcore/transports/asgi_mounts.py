"""Applications mounted in Starlette (and so in FastAPI) answer at the very path of the mount, not one slash behind it.

``app.mount("/mcp", ...)`` alone matches ``/mcp/`` and what is below: to ``/mcp`` the router answers with a redirect,
before anything mounted there is asked. Clients stumble over it: they lose the body or the session, or are sent to
``http:`` behind a proxy that speaks ``https:``. So a mount of ours, and no other one, is made to match that path too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import wraps
from typing import Any

__all__ = ["match_bare_mounts"]

_ROUTING = "starlette.routing"
_DONE = "_mcpcore_matches"


def match_bare_mounts(application: type) -> bool:
    """From now on every ``Mount`` of an ``application`` matches its path without a slash. False where Starlette is not
    loaded (yet)."""
    mount: Any = getattr(sys.modules.get(_ROUTING), "Mount", None)
    if mount is None:
        return False
    if not hasattr(mount, _DONE):
        mount.matches = _matching(mount.matches, application)
        setattr(mount, _DONE, True)
    return True


def _matching(matches: Any, application: type) -> Any:
    @wraps(matches)
    def matches_bare(self: Any, scope: Mapping[str, Any]) -> Any:
        found = matches(self, scope)
        if isinstance(getattr(self, "_base_app", self.app), application) and not found[0].value:
            path = scope.get("path", "")
            if path and not path.endswith("/"):
                return matches(self, {**scope, "path": f"{path}/"})
        return found

    return matches_bare
