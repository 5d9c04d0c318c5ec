"""What a server's author uses: ``Server``, handlers, contexts. It sees requests and results, never eras and sockets."""
