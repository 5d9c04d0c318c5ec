"""Every error code on the wire, with the revision that defines it. Data only.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/index#error-codes
"""

from typing import Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

RESOURCE_NOT_FOUND: Final = -32002
"""Legacy revisions only; 2026-07-28 forbids it and uses ``INVALID_PARAMS``."""

URL_ELICITATION_REQUIRED: Final = -32042
"""2025-11-25 only."""

HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_PROTOCOL_VERSION: Final = -32022

MODERN_CODES: Final = frozenset({HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION})
"""An answer with one of these codes proves a modern peer (2026-07-28, stdio#backward-compatibility)."""

USER_REJECTED: Final = -1
"""What a client answers when its user refuses sampling (2025-11-25, client/sampling#error-handling)."""

OVERLOADED: Final = 429
"""Ours: too many requests in flight. Outside the JSON-RPC range, as 2026-07-28 asks of new codes."""
