"""Parse and render only: bytes to domain values and back. What happens in between is services' and engine's."""
