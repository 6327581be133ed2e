"""The chat page: what `/` serves. Its source is in `web/` at the repository's root, its bundle in `web/bundle` here."""
