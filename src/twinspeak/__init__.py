"""Twinspeak: open, self-hosted middleware for Digital Twins."""

__version__ = "0.1.0"
