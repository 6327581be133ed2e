"""The IP vault: documents in, numbered passages out. Reaches the database; knows no model and no transport."""
