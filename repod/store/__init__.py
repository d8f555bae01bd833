"""Store: where a repository lies."""
