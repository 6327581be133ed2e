"""The tools that come with the server, one module each; `app` wires the ports they need."""
