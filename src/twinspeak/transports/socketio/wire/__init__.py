"""The two protocols as state machines: fed and asked for text and bytes, no I/O and no clock of their own."""
