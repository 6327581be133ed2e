"""What must always hold, whoever changes what. Each law proves with an example of its own that it can fail."""
