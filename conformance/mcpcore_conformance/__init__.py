"""Black-box checks of Model Context Protocol servers and clients.

Independent of mcpcore by rule: a suite that shared code with what it judges would share its mistakes. A test reads the
syntax trees and holds the rule.
"""

from __future__ import annotations

__version__ = "0.0.0"

# Name of a check -> what it holds a peer to. None exist yet.
CHECKS: dict[str, str] = {}
