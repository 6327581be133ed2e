"""Who somebody is: passwords and sign-in tokens. Knows no database and no transport."""
