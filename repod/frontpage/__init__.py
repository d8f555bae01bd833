"""The front page of a repository, as HTML."""
