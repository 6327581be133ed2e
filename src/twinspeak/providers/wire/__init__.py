"""Framings of provider streams, without I/O."""
