"""Where packages are pushed to: the daemon's API, an inbox in a bucket, or one in a directory."""
