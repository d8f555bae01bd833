"""Repodata: the documents of a repository, made from compressed segments."""
