"""The load client: raw sockets in a process of its own, because what measures must cost less than what is measured."""
