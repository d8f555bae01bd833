"""Who is known: tokens, names with passwords, client certificates."""
