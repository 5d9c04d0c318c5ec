"""The two eras as policies over one core: the only place where they differ."""
