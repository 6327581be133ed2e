"""Model providers: one module a wire, bytes in and `ModelEvent`s out, and the data about models."""
