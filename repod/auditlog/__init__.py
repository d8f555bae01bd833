"""The audit log: who changed what, as lines of JSON that hang together by their hashes."""
