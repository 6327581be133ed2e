"""Pure data and rules: no I/O, no framework, only the standard library and msgspec."""
