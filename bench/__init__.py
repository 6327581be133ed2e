"""The benchmark: what streaming costs, measured beside a raw pass-through in the same run (docs/performance.md)."""
