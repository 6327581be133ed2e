"""The MCP face: a digital twin as a tool for others, over streamable HTTP (specification 2025-11-25)."""
