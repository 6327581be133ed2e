"""Ways to find chunks. Lexical now; each way gets a module of its own here."""
