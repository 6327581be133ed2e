"""Tests mirror the tree of src/twinspeak; laws/ holds what must be true of the whole."""
