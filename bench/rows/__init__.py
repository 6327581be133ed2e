"""The rows of the table in docs/performance.md, one module for those that are measured alike."""
