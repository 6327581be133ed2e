"""JSON in, JSON out: sign-in, profile, history, models, running turns, health and documentation."""
