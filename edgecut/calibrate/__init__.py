"""A machine's cost table: small files timed on it, and prices fitted to their times."""
