"""The Server-Sent Events face (contract 4.2)."""
