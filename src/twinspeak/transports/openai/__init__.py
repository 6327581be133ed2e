"""The OpenAI-compatible face (contract 4.4)."""
