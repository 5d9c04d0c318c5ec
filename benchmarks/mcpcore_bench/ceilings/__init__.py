"""The ceilings: the least Python that can answer, or ask, correctly. The yardsticks of every row."""
