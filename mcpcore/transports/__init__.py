"""Channels to the other side: asyncio, pipes and processes live here and nowhere else. Import the modules."""
