"""The smallest server: one tool, on standard input and output."""

from __future__ import annotations

from mcpcore import Server

server = Server("weather")


@server.tool
async def forecast(city: str, days: int = 3) -> str:
    """What the sky over a city will do."""
    return f"{city}: rain for {days} days"


if __name__ == "__main__":
    server.run()
