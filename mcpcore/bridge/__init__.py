"""A bridge between transports: a client of one reaches a server of the other. Eras are not translated."""
