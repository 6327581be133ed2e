"""What an operator sees of a running server: logs, metrics, and a watch over the event loop."""
