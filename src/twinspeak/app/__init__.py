"""The composition root: the only room that knows everybody, and that only the command line knows.

`offline` is what runs without a server, `compose` wires one, `server` gives it a socket.
"""
