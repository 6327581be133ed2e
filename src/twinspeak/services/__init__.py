"""Use cases, one module per noun. Nothing here knows a transport."""
