"""Readers of files, one module a format. They run in a process of their own: see `knowledge.extracting`."""
