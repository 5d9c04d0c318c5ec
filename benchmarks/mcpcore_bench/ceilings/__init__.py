"""The ceilings: the least Python that can answer, or ask, correctly. What no implementation in Python can beat by much."""
