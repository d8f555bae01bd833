"""What a repository lists, in a file that is quick to search."""
