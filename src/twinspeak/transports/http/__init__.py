"""What every HTTP face shares: the application, its edge (bodies, addresses, errors, headers) and who is calling."""
