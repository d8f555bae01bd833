"""What a process may still do that reads strangers' files: begun free, it gives up all but its task."""
