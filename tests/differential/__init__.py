"""Our decoders beside somebody else's, over the same bytes."""
