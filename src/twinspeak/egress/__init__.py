"""The one way out: every connection that the server opens to another machine starts here."""
