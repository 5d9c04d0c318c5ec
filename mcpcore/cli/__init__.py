"""The command ``mcpcore``: run a server, and talk to one from a shell. Everything is imported when it is needed."""
