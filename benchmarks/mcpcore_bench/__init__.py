"""Benchmarks that compare MCP implementations side by side; ``python -m mcpcore_bench compare`` prints the table.

Only the distribution's name and version live here. The package imports nothing of the implementations it measures: each
of them runs in a process, and where it is foreign in an environment, of its own.
"""

from __future__ import annotations

__version__ = "0.1.0"
