"""What a model may do besides writing: tools, run on the server within limits (decision 009)."""
