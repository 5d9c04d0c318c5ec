"""The smallest client: it starts a server, calls its one tool and prints the answer.

    python examples/hello_client.py
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mcpcore import Client

SERVER = Path(__file__).with_name("hello_server.py")


async def main() -> None:
    async with Client([sys.executable, str(SERVER)]) as client:
        result = await client.call_tool("forecast", {"city": "Oslo"})
        print(result.text)


asyncio.run(main())
